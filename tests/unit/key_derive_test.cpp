// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>

#include "loader/keys/derive.h"

namespace tfo {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string kHex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const std::string kOtherHex(64, 'a');

std::string counting(size_t size) {
  std::string bytes(size, '\0');
  std::iota(bytes.begin(), bytes.end(), '\0');
  return bytes;
}

std::string text_at(const std::string& content, int64_t time, int64_t interval = 86400) {
  const auto secret = DerivedSecret::parse(content);
  if (!secret) return secret.error().message;
  const auto text = derived_text(*secret, interval, time);
  return text ? text->str() : text.error().message;
}

std::string error_of(const std::string& content) {
  const auto secret = DerivedSecret::parse(content);
  return secret ? "" : secret.error().message;
}

TEST(DerivedSecret, GivesTheKeysOfTofurkey) {
  EXPECT_EQ(text_at(counting(32), 1'700'000'000),
            "f797fe36-8fdada89-1b982dd0-ce525716,e5129c4a-1ebe1a15-a4206306-69986976");
  EXPECT_EQ(text_at(counting(100), 1'700'000'000), text_at(counting(32), 1'700'000'000));
}

TEST(DerivedSecret, TheBytesThatSipHashReadsAreThoseOfTheText) {
  const auto secret = DerivedSecret::parse(counting(32));
  const auto slots = derived_slots(86400, 1'700'000'000);
  EXPECT_EQ(secret->key(slots.primary), *Key::parse("f797fe36-8fdada89-1b982dd0-ce525716"));
  EXPECT_EQ(secret->key(slots.backup), *Key::parse("e5129c4a-1ebe1a15-a4206306-69986976"));
}

TEST(DerivedSecret, SlotsChangeAtEdgesAndMiddles) {
  const auto slots = [](int64_t time) {
    const DerivedSlots at = derived_slots(100, time);
    return std::pair(at.primary, at.backup);
  };
  EXPECT_EQ(slots(1000), std::pair(uint64_t{10}, uint64_t{9}));
  EXPECT_EQ(slots(1049), std::pair(uint64_t{10}, uint64_t{9}));
  EXPECT_EQ(slots(1050), std::pair(uint64_t{10}, uint64_t{11}));
  EXPECT_EQ(slots(1099), std::pair(uint64_t{10}, uint64_t{11}));
  EXPECT_EQ(slots(1100), std::pair(uint64_t{11}, uint64_t{10}));
  EXPECT_EQ(slots(0), std::pair(uint64_t{0}, UINT64_MAX));
}

TEST(DerivedSecret, LinesChangeItFromAnIndexOn) {
  const std::string lines =
      "# farm web\n\n 0\t" + kHex + "\r\n  19700 " + kOtherHex + "  \n# 20000 soon\n";
  const auto secret = DerivedSecret::parse(lines);
  ASSERT_TRUE(secret) << secret.error().message;
  const auto old = DerivedSecret::parse(counting(32));
  const auto next = DerivedSecret::parse(std::string(32, '\xaa'));
  EXPECT_EQ(secret->key(0), old->key(0));
  EXPECT_EQ(secret->key(19'699), old->key(19'699));
  EXPECT_EQ(secret->key(19'700), next->key(19'700));
  EXPECT_EQ(secret->key(INT64_MAX), next->key(INT64_MAX));
  // The order of lines does not matter.
  const auto turned = DerivedSecret::parse("19700 " + kOtherHex + "\n0 " + kHex + "\n");
  EXPECT_TRUE(*secret == *turned);
  EXPECT_FALSE(*secret == *old);
}

TEST(DerivedSecret, BeforeTheFirstLineThereIsNoKey) {
  const auto secret = DerivedSecret::parse("19676 " + kHex);
  EXPECT_FALSE(secret->key(19'675));
  EXPECT_TRUE(secret->key(19'676));
  EXPECT_THAT(text_at("19676 " + kHex, 1'700'000'000 - 86400),
              AllOf(HasSubstr("begin with index 19676"), HasSubstr("needs 19674")));
}

TEST(DerivedSecret, WhatLooksLikeLinesIsReadAsLines) {
  for (const std::string& raw :
       {std::string("7Vf+3mX0n3iB5c1q8m0b0w5s2M9bqz8x4r6t1u3y5k8="),
        std::string("12345678901234567890123456789012"), counting(32) + "\n", counting(200),
        std::string(32, ' '), std::string("- 12 and more text than 32 bytes"),
        std::string("da39a3ee5e6b4b0d3255bfef95601890afd80709"), "\xff\xfe" + counting(30),
        "\xef\xbb\xbf" + counting(29), kHex.substr(0, 59), std::string(31, 'x') + "\n"}) {
    const auto plain = DerivedSecret::parse(raw);
    ASSERT_TRUE(plain) << raw << plain.error().message;
    EXPECT_TRUE(plain->key(0)) << raw;
    EXPECT_TRUE(plain->plain());
  }
  for (const std::string& broken :
       {"0 " + kHex + "0", "0 " + kHex.substr(2), "0 x" + kHex.substr(1),
        "x0 " + kHex + "\n0 " + kHex, "99999999999999999999 " + kHex, "9223372036854775808 " + kHex,
        "1.5 2 " + kHex + "\n3 x", "0 " + kHex + "\n-1 " + kHex, "0 " + kHex + " " + kHex,
        "# key\n" + kHex, std::string("5 times more text than there must be in a secret")}) {
    EXPECT_THAT(error_of(broken), AllOf(HasSubstr("line "), HasSubstr("give `INDEX SECRET`")))
        << broken;
  }
}

std::string in_utf16(const std::string& text, bool big) {
  std::string encoded = big ? "\xfe\xff" : "\xff\xfe";
  for (const char c : text) encoded += big ? std::string{'\0', c} : std::string{c, '\0'};
  return encoded;
}

TEST(DerivedSecret, WhatWasMeantAsLinesIsNotTakenAsPlain) {
  const std::string line = "0 " + kHex + "\n";
  for (const std::string& meant :
       {"0: " + kHex, "0=" + kHex, "0," + kHex, "0x0 " + kHex, "-1 " + kHex, "+0 " + kHex,
        kHex + " 0", kHex, kHex + "\n", "\xef\xbb\xbf" + line, in_utf16(line, false),
        in_utf16(line, true), in_utf16(line, true).substr(2), "0 " + kHex + " # cl\xc3\xa9",
        std::string("\xef\xbb\xbf# none of the lines is there yet"),
        in_utf16("0 of 64 hex digits some", true), counting(32) + "\n19700 " + kOtherHex,
        counting(32) + "\n0 " + kHex + "\n", kHex.substr(0, 60) + "\n" + kHex.substr(60)}) {
    EXPECT_THAT(error_of(meant), AllOf(HasSubstr("INDEX SECRET"), HasSubstr("0 OLDHEX"),
                                       Not(HasSubstr("0001")), Not(HasSubstr("aaaa"))))
        << meant;
  }
}

TEST(DerivedSecret, ErrorsSayWhereAndRepeatNothing) {
  EXPECT_THAT(error_of("0 " + kHex + "\n\n7 " + kOtherHex.substr(1)),
              AllOf(HasSubstr("line 3"), Not(HasSubstr("aaaa"))));
  EXPECT_THAT(error_of("7 " + kHex + "\n7 " + kOtherHex),
              AllOf(HasSubstr("line 2"), HasSubstr("index 7"), Not(HasSubstr("aaaa"))));
  EXPECT_THAT(error_of("# nothing else"), HasSubstr("comments only"));
  EXPECT_THAT(error_of(""), HasSubstr("has 0 bytes"));
  EXPECT_THAT(error_of("short"), AllOf(HasSubstr("has 5 bytes"), Not(HasSubstr("short"))));
  std::string many;
  for (int i = 0; i < 1000; ++i) many += std::to_string(i) + " " + kHex + "\n";
  EXPECT_THAT(error_of(many), HasSubstr("too many lines"));
}

TEST(DerivedSecret, AnAllZeroOneIsNoticed) {
  EXPECT_TRUE(DerivedSecret::parse(std::string(32, '\0'))->has_zero());
  EXPECT_TRUE(DerivedSecret::parse("0 " + kHex + "\n5 " + std::string(64, '0'))->has_zero());
  EXPECT_FALSE(DerivedSecret::parse(counting(32))->has_zero());
  EXPECT_TRUE(DerivedSecret::parse(counting(32))->check());
  EXPECT_FALSE(DerivedSecret::parse(std::string(32, '\0'))->check());
  EXPECT_FALSE(DerivedSecret::parse("0 " + kHex)->plain());
}

TEST(DerivedText, ChecksIntervalAndTime) {
  for (const int64_t bad : {INT64_MIN, int64_t{-2}, int64_t{0}, int64_t{8}, int64_t{11},
                            int64_t{86401}, int64_t{604802}, INT64_MAX}) {
    EXPECT_THAT(text_at(counting(32), 1'700'000'000, bad), HasSubstr("even number of seconds"));
  }
  EXPECT_THAT(text_at(counting(32), -1), HasSubstr("before 1970"));
  EXPECT_EQ(text_at(counting(32), INT64_MAX, 10).size(), 71U);
}

class DerivedSecretFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "tfo-secret-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = directory_ / "secret";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  void write(const std::string& text, mode_t mode) const {
    std::ofstream(path_, std::ios::binary) << text;
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
  }
  std::string load_error() const {
    const auto secret = DerivedSecret::load(path_);
    return secret ? "" : secret.error().message;
  }
  std::filesystem::path directory_, path_;
};

TEST_F(DerivedSecretFile, MustBeOutOfReachOfOthers) {
  EXPECT_THAT(load_error(), AllOf(HasSubstr(path_.string()), HasSubstr("no such file")));
  for (const mode_t mode : {0644U, 0640U, 0604U, 0610U}) {
    write(counting(32), mode);
    EXPECT_THAT(load_error(), AllOf(HasSubstr("chmod"), HasSubstr("replace the secret")));
  }
  write(counting(32), 0400);
  EXPECT_EQ(load_error(), "");
  std::filesystem::create_symlink(path_, directory_ / "link");
  path_ = directory_ / "link";
  EXPECT_THAT(load_error(), HasSubstr("symbolic link"));
  path_ = directory_;
  EXPECT_THAT(load_error(), HasSubstr("regular file"));
}

TEST_F(DerivedSecretFile, OnlyItsFirstBytesCount) {
  write(counting(32) + std::string(200'000, 'x'), 0600);
  const auto secret = DerivedSecret::load(path_);
  ASSERT_TRUE(secret) << secret.error().message;
  EXPECT_TRUE(*secret == *DerivedSecret::parse(counting(32)));
}

}  // namespace
}  // namespace tfo
