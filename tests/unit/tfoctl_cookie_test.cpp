// SPDX-License-Identifier: BSD-2-Clause
// `tfoctl cookie` against cookies that a live kernel minted, and its exit codes.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/tfoctl_run.h"

namespace {

using nlohmann::json;
using tfo::test::Ran;
using tfo::test::run_tfoctl;

constexpr const char* kSymmetric = "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4";
constexpr const char* kZero = "00000000-00000000-00000000-00000000";
constexpr const char* kOther = "a0bf63f7-ed803d81-cd641d30-cebc4a90";
constexpr const char* kCounting = "00112233-44556677-8899aabb-ccddeeff";
constexpr const char* kDescending = "0f1e2d3c-4b5a6978-8796a5b4-c3d2e1f0";

struct Golden {
  const char* key;
  const char* source;
  const char* destination;
  const char* cookie;
};

constexpr Golden kGolden[] = {
    {kSymmetric, "192.0.2.1", "192.168.0.1", "3021b9d889017eeb"},
    {kSymmetric, "fd3d:fa7b:d17d::1", "fd3d:a0b:17d6::1", "c1d1e9742a47a9bc"},
    {kZero, "192.0.2.1", "192.168.0.1", "b7c12350a90dc8f5"},
    {kZero, "fd3d:fa7b:d17d::1", "fd3d:a0b:17d6::1", "82af1a8f9a205c34"},
    {kOther, "192.0.2.1", "192.168.0.1", "f49b0ef989d9f624"},
    {kOther, "fd3d:fa7b:d17d::1", "fd3d:a0b:17d6::1", "792f542eed8979b8"},
    {kCounting, "10.88.0.9", "10.88.0.1", "c733c9377af1c52f"},
    {kCounting, "fd88::9", "fd88::1", "6c1052c41e70cfb4"},
    {kDescending, "10.88.0.9", "10.88.0.1", "4000f1a98367a91e"},
};

TEST(TfoctlCookie, MakesWhatTheKernelMakes) {
  for (const Golden& one : kGolden) {
    SCOPED_TRACE(one.cookie);
    const Ran text = run_tfoctl({"cookie", "make", "--key", one.key, one.source, one.destination});
    EXPECT_EQ(text.code, 0) << text.err;
    EXPECT_EQ(text.out, std::string(one.cookie) + "\n");
    const Ran document =
        run_tfoctl({"-j", "cookie", "make", one.source, one.destination, "--key", one.key});
    EXPECT_EQ(json::parse(document.out), (json{{"cookie", one.cookie}}));
  }
}

TEST(TfoctlCookie, ChecksAndTellsThePlaceOfTheKey) {
  const std::string keys = std::string(kZero) + "," + kCounting + "," + kOther;
  for (const Golden& one : kGolden) {
    SCOPED_TRACE(one.cookie);
    const std::string key = one.key;
    const std::string place = key == kZero       ? "1"
                              : key == kCounting ? "2"
                              : key == kOther    ? "3"
                                                 : "";
    const Ran ran =
        run_tfoctl({"cookie", "check", "--key", keys, one.source, one.destination, one.cookie});
    EXPECT_EQ(ran.code, place.empty() ? 1 : 0);
    EXPECT_EQ(ran.out, place.empty() ? "" : place + "\n");
  }
}

TEST(TfoctlCookie, CheckAnswersNoWithOneDocumentAndCodeOne) {
  const Ran ran = run_tfoctl(
      {"cookie", "check", "-j", "--key", kZero, "192.0.2.1", "192.168.0.1", "3021b9d889017eeb"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(json::parse(ran.out), (json{{"match", false}, {"place", nullptr}}));
  EXPECT_EQ(ran.err, "");
}

TEST(TfoctlCookie, UpperCaseDigitsAreTheSameCookie) {
  EXPECT_EQ(run_tfoctl({"cookie", "check", "--key", kSymmetric, "192.0.2.1", "192.168.0.1",
                        "3021B9D889017EEB"})
                .code,
            0);
}

TEST(TfoctlCookie, CookiesOfOtherLegalLengthsNeverMatch) {
  for (const char* cookie : {"3021b9d8", "3021b9d88901", "3021b9d889017eeb3021b9d889017eeb"}) {
    const Ran ran =
        run_tfoctl({"cookie", "check", "--key", kSymmetric, "192.0.2.1", "192.168.0.1", cookie});
    EXPECT_EQ(ran.code, 1) << cookie;
    EXPECT_NE(ran.err.find("8 bytes"), std::string::npos) << ran.err;
  }
}

TEST(TfoctlCookie, KeysFromStandardInputAndFromAFile) {
  const std::string text = "# keys of the farm\n\n" + std::string(kZero) + "\r\n  " + kSymmetric +
                           "," + kOther;  // no newline at the end
  const std::vector<std::string> check = {
      "cookie", "check", "192.0.2.1", "192.168.0.1", "f49b0ef989d9f624", "--key-file"};
  auto with = [&](const std::string& file) {
    auto all = check;
    all.push_back(file);
    return all;
  };
  EXPECT_EQ(run_tfoctl(with("-"), text).out, "3\n");

  char path[] = "/tmp/tfoctl_cookie_test.XXXXXX";
  const int fd = mkstemp(path);
  ASSERT_GE(fd, 0);
  close(fd);
  std::ofstream(path) << text;
  EXPECT_EQ(run_tfoctl(with(path)).out, "3\n");
  unlink(path);

  const Ran missing = run_tfoctl(with("/nonexistent/keys"));
  EXPECT_EQ(missing.code, 2);
  EXPECT_NE(missing.err.find("/nonexistent/keys"), std::string::npos);
  const Ran mistaken = run_tfoctl(with(kCounting));
  EXPECT_EQ(mistaken.code, 2);
  EXPECT_EQ(mistaken.err.find(kCounting), std::string::npos) << "a key, where a file is wanted";
  EXPECT_NE(mistaken.err.find("--key-file"), std::string::npos) << mistaken.err;
  EXPECT_EQ(run_tfoctl(with("-"), "# nothing\n").code, 2);
  EXPECT_EQ(run_tfoctl(with("-"), std::string(100'000, ' ')).code, 2);
}

TEST(TfoctlCookie, WrongUsageIsTwoAndSaysWhat) {
  const std::string key = kCounting;
  const struct {
    std::vector<std::string> arguments;
    const char* says;
  } cases[] = {
      {{"--key", key, "192.0.2.1", "fd88::1"}, "one family"},
      {{"--key", key, "192.0.2.1", "192.0.2"}, "DST"},
      {{"--key", key, "host", "192.0.2.1"}, "SRC"},
      {{"--key", key, "192.0.2.1"}, "DST"},
      {{"192.0.2.1", "192.0.2.2"}, "--key"},
      {{"--key", key, "--key-file", "-", "192.0.2.1", "192.0.2.2"}, "either"},
      {{"--key", key + "," + key, "192.0.2.1", "192.0.2.2"}, "2 keys"},
      {{"--key", key + "0", "192.0.2.1", "192.0.2.2"}, "xxxxxxxx"},
      {{"--key", key + ",", "192.0.2.1", "192.0.2.2"}, "xxxxxxxx"},
      {{"--key", "0x112233-44556677-8899aabb-ccddeeff", "192.0.2.1", "192.0.2.2"}, "xxxxxxxx"},
  };
  for (const auto& one : cases) {
    std::vector<std::string> arguments = {"cookie", "make"};
    arguments.insert(arguments.end(), one.arguments.begin(), one.arguments.end());
    const Ran ran = run_tfoctl(arguments);
    EXPECT_EQ(ran.code, 2) << one.says;
    EXPECT_EQ(ran.out, "");
    EXPECT_NE(ran.err.find(one.says), std::string::npos) << ran.err;
  }
  for (const char* cookie : {"", "3021b9d889017ee", "3021b9d889017eeg", "3021", "30 1b9d889017eeb",
                             "3021b9d889017eeb3021b9d889017eeb3021"}) {
    EXPECT_EQ(run_tfoctl({"cookie", "check", "--key", key, "192.0.2.1", "192.0.2.2", cookie}).code,
              2)
        << cookie;
  }
}

TEST(TfoctlCookie, NoMessageRepeatsAKey) {
  const std::string key = kCounting;
  const std::vector<std::vector<std::string>> wrong = {
      {"cookie", "make", key, "192.0.2.1", "192.0.2.2"},
      {"cookie", "make", key, "192.0.2.2", "--key", kOther},
      {"cookie", "make", "--key", key + "11", "192.0.2.1", "192.0.2.2"},
      {"cookie", key},
      {key},
      {"status", key},
      {"--" + key},
      {"bench", "--runs", key},
  };
  for (const auto& arguments : wrong) {
    const Ran ran = run_tfoctl(arguments);
    EXPECT_EQ(ran.code, 2);
    EXPECT_EQ((ran.out + ran.err).find("44556677"), std::string::npos) << ran.err;
  }
  const Ran file =
      run_tfoctl({"cookie", "make", "--key-file", "-", "1.1.1.1", "2.2.2.2"}, key + "1");
  EXPECT_EQ(file.code, 2);
  EXPECT_NE(file.err.find("standard input, line 1"), std::string::npos) << file.err;
  EXPECT_EQ(file.err.find("44556677"), std::string::npos);
}

}  // namespace
