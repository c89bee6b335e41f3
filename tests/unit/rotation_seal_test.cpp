// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "loader/rotation/seal.h"
#include "loader/rotation/state_file.h"

namespace tfo::rotation {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr Counter kCounter{.incarnation = 1700000000, .sequence = 12};

std::string hex(char digit) { return std::string(64, digit); }

FarmKey farm_key(const std::string& text) {
  auto key = FarmKey::parse(text);
  EXPECT_TRUE(key) << key.error().message;
  return key ? *key : FarmKey();
}

std::string parse_error(const std::string& text) {
  const auto key = FarmKey::parse(text);
  return key ? "good" : key.error().message;
}

TEST(FarmKey, LinesInAnyOrderWithComments) {
  const FarmKey key = farm_key("# the farm's\n\n 20 " + hex('A') + " # new\r\n3\t" + hex('b'));
  EXPECT_THAT(key.numbers(), ElementsAre(3, 20));
  EXPECT_EQ(key.newest(), 20U);
  EXPECT_THAT(key.fingerprint(3), testing::MatchesRegex("[0-9a-f]{8}"));
  EXPECT_NE(key.fingerprint(3), key.fingerprint(20));
  EXPECT_EQ(key.fingerprint(4), "");
  EXPECT_EQ(key.fingerprint(20), farm_key("1 " + hex('a')).fingerprint(1));
}

TEST(FarmKey, RefusesWithTheLineAndWithoutItsText) {
  EXPECT_THAT(parse_error("# nothing\n"), HasSubstr("no key"));
  EXPECT_THAT(parse_error("\n1 " + hex('0')), HasSubstr("line 2: the key is all zero"));
  EXPECT_THAT(parse_error("1 " + hex('a') + "\n1 " + hex('b')), HasSubstr("line 2: its number"));
  EXPECT_THAT(parse_error("1 " + hex('a') + "\n2 " + hex('A')), HasSubstr("line 2: its key"));
  std::string five;
  for (int n = 1; n <= 5; ++n)
    five += std::to_string(n) + " " + hex(static_cast<char>('a' + n)) + "\n";
  EXPECT_THAT(parse_error(five), HasSubstr("at most 4"));
  for (const std::string& line :
       {"0 " + hex('a'), "2147483648 " + hex('a'), "-1 " + hex('a'), hex('a'), "1" + hex('a'),
        "1 " + hex('a') + "a", "1 " + hex('a').substr(1), "1 " + hex('x'), std::string("1"),
        "1 " + hex('a') + " " + hex('a')}) {
    const std::string error = parse_error(line);
    EXPECT_THAT(error, HasSubstr("line 1 is not `NUMBER HEX64`")) << line;
    EXPECT_THAT(error, Not(HasSubstr("aaaa")));
  }
}

TEST(FarmKey, ANewLineIsReadBackAndNeverTheSame) {
  const Secret one = FarmKey::new_line(7);
  const Secret two = FarmKey::new_line(8);
  const FarmKey key = farm_key(one.str() + two.str());
  EXPECT_THAT(key.numbers(), ElementsAre(7, 8));
  EXPECT_NE(key.fingerprint(7), key.fingerprint(8));
}

class Files : public testing::Test {
 protected:
  Files()
      : directory_(std::filesystem::temp_directory_path() /
                   testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directory(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ / name; }
  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    std::ofstream(path(name)) << text;
    chmod(path(name).c_str(), mode);
    return path(name);
  }

 private:
  std::filesystem::path directory_;
};

using FarmKeyFile = Files;

TEST_F(FarmKeyFile, MustBePrivate) {
  const std::string text = "1 " + hex('a') + "\n";
  EXPECT_TRUE(FarmKey::load(write("good", text)));
  const auto open_to_all = FarmKey::load(write("open", text, 0644));
  ASSERT_FALSE(open_to_all);
  EXPECT_THAT(open_to_all.error().message, HasSubstr(path("open")));
  EXPECT_THAT(open_to_all.error().message, HasSubstr("rekey"));
  EXPECT_THAT(FarmKey::load(path("none")).error().message, HasSubstr("tfoctl farm init"));
  EXPECT_THAT(FarmKey::load(write("bad", "x")).error().message, HasSubstr("bad: line 1"));
}

class Sealed : public testing::Test {
 protected:
  std::string error(const std::string& value, const std::string& name = "ring",
                    uint32_t min_key = 0) const {
    const auto opened = sealer_.open(key_, min_key, name, value);
    return opened ? "good" : opened.error().message;
  }
  /// The sealed value with one field replaced.
  std::string with(const char* field, const nlohmann::json& value) const {
    auto json = nlohmann::json::parse(value_);
    json[field] = value;
    return json.dump();
  }

  FarmKey key_ = farm_key("1 " + hex('a') + "\n2 " + hex('b'));
  Sealer sealer_{"edge", "web"};
  std::string value_ = sealer_.seal(key_, 1, "ring", kCounter, "the text");
};

TEST_F(Sealed, OpensWhereItBelongsAndNowhereElse) {
  const auto opened = sealer_.open(key_, 1, "ring", value_);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(std::string_view(opened->text), "the text");
  EXPECT_EQ(opened->counter, kCounter);
  EXPECT_EQ(opened->key, 1U);
  EXPECT_EQ(Sealer::claimed_counter(value_), kCounter);
  EXPECT_THAT(value_, Not(HasSubstr("the text")));
  EXPECT_NE(sealer_.seal(key_, 1, "ring", kCounter, "the text"), value_);

  EXPECT_THAT(error(value_, "ack/s1"), HasSubstr("not genuine"));
  EXPECT_FALSE(Sealer("edge", "api").open(key_, 0, "ring", value_));
  EXPECT_FALSE(Sealer("core", "web").open(key_, 0, "ring", value_));
  // The same letters cut elsewhere are another place.
  EXPECT_FALSE(Sealer("edge web", "").open(key_, 0, "ring", value_));
}

TEST_F(Sealed, EveryChangedFieldIsRefused) {
  EXPECT_THAT(error(with("counter", {1700000000, 13})), HasSubstr("not genuine"));
  EXPECT_THAT(error(with("counter", {1700000001, 12})), HasSubstr("not genuine"));
  EXPECT_THAT(error(with("key", 2)), HasSubstr("not genuine"));
  EXPECT_THAT(error(with("nonce", std::string(32, 'A'))), HasSubstr("not genuine"));
  const std::string box = nlohmann::json::parse(value_)["box"];
  for (size_t at = 0; at + 1 < box.size(); ++at) {
    std::string changed = box;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    EXPECT_NE(error(with("box", changed)), "good") << at;
  }
  EXPECT_NE(error(with("box", "")), "good");
  EXPECT_NE(error(with("nonce", "AAAA")), "good");
  EXPECT_NE(error(with("v", 2)), "good");
  EXPECT_NE(error(with("later", 2)), "good");
  for (const std::string text : {"", "{}", "[]", "x", "null"}) EXPECT_NE(error(text), "good");
  EXPECT_EQ(Sealer::claimed_counter("x"), std::nullopt);
}

TEST_F(Sealed, LinesThatAreMissingOrGivenUpAreNamed) {
  EXPECT_THAT(error(with("key", 3)), HasSubstr("line 3"));
  EXPECT_THAT(error(value_, "ring", 2), HasSubstr("given up"));
  EXPECT_THAT(error(value_, "ring", 2), HasSubstr("/tfo/edge/web/ring"));
  EXPECT_EQ(error(sealer_.seal(key_, 2, "ring", kCounter, ""), "ring", 2), "good");
  const std::string large(size_t{1} << 20, 'x');
  EXPECT_THAT(error(sealer_.seal(key_, 2, "ring", kCounter, large)), HasSubstr("larger than"));
}

using RotationStateFile = Files;

TEST_F(RotationStateFile, RemembersAndIsPrivate) {
  const StateFile file(path("web.rotation"));
  const auto none = file.load();
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->has_value());
  const Remembered remembered{
      .sealed = R"({"v":1})", .min_key = 3, .newest = 1790000000, .joined = true};
  ASSERT_TRUE(file.save(remembered));
  const auto back = file.load();
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, remembered);
  struct stat info{};
  ASSERT_EQ(stat(path("web.rotation").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  chmod(path("web.rotation").c_str(), 0640);
  EXPECT_FALSE(file.load());
}

TEST_F(RotationStateFile, DamageIsAnErrorThatSaysWhatToDo) {
  for (const std::string text : {"", "{", "{}", R"({"format":"tfoguard rotation","version":2})"}) {
    const auto read = StateFile(write("web.rotation", text)).load();
    ASSERT_FALSE(read) << text;
    EXPECT_THAT(read.error().message, HasSubstr("restore it from a backup"));
    EXPECT_THAT(read.error().message, HasSubstr("web.rotation"));
  }
}

}  // namespace
}  // namespace tfo::rotation
