// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "loader/keys/sysctl_sink.h"

namespace tfo {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kUnset[] = "00000000-00000000-00000000-00000000\n";

/// An ordinary file stands in for the sysctl: it takes what is written and shows it again.
class SysctlSinkTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "tfo-sysctl-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    put(kUnset);
    ring_.revision = 1;
    ring_.generations = {{.id = 1, .key = Key::random(), .place = TFO_PLACE_CURRENT},
                         {.id = 2, .key = Key::random(), .place = TFO_PLACE_PREVIOUS}};
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string path() const { return directory_ / "tcp_fastopen_key"; }
  void put(const std::string& text) const { std::ofstream(path()) << text; }
  std::string content() const {
    std::ostringstream text;
    text << std::ifstream(path()).rdbuf();
    return text.str();
  }

  fs::path directory_;
  KeyRing ring_;
};

TEST_F(SysctlSinkTest, WritesBothKeysInOneText) {
  auto sink = SysctlSink::open("", path());
  ASSERT_TRUE(sink) << sink.error().message;
  EXPECT_EQ((*sink)->role(), KeySink::Role::server);
  EXPECT_EQ((*sink)->name(), "own netns");
  ASSERT_TRUE((*sink)->apply(ring_));
  EXPECT_EQ(content(), ring_.sysctl_value().view());
  EXPECT_EQ(content().size(), 71U);
  EXPECT_TRUE((*sink)->verify(ring_));
}

TEST_F(SysctlSinkTest, WhatIsReadBackMustBeWhatWasWritten) {
  auto sink = SysctlSink::open("", path());
  ASSERT_TRUE(sink);
  // Longer than our text, so that a rest stays behind it.
  put(std::string(100, '0'));
  EXPECT_THAT((*sink)->apply(ring_).error().message, HasSubstr("own netns"));

  const Key other = Key::random();
  put(other.text().str() + "\n");
  const std::string drift = (*sink)->verify(ring_).error().message;
  EXPECT_THAT(drift,
              AllOf(HasSubstr(other.fingerprint()), HasSubstr(ring_.current()->key.fingerprint()),
                    Not(HasSubstr(other.text().str().substr(0, 8)))));
  EXPECT_FALSE((*sink)->gone());
}

TEST_F(SysctlSinkTest, AllZeroIsNoKey) {
  auto sink = SysctlSink::open("", path());
  ASSERT_TRUE(sink);
  EXPECT_TRUE((*sink)->held()->empty());
  put(ring_.sysctl_value().str() + "\n");
  ASSERT_EQ((*sink)->held()->size(), 2U);
  EXPECT_EQ((*sink)->held()->front(), ring_.current()->key);
}

TEST_F(SysctlSinkTest, ARingWithoutKeysIsNotWritten) {
  auto sink = SysctlSink::open("", path());
  ASSERT_TRUE(sink);
  EXPECT_FALSE((*sink)->apply(KeyRing()));
  EXPECT_EQ(content(), kUnset);
}

TEST_F(SysctlSinkTest, ErrorsNameTheFileAndTheNamespace) {
  EXPECT_THAT(SysctlSink::open("", directory_ / "missing").error().message, HasSubstr("missing"));
  EXPECT_THAT(SysctlSink::open("tfo-no-such-netns", path()).error().message,
              AllOf(HasSubstr("/run/netns/tfo-no-such-netns"), HasSubstr("server.namespaces")));
  const std::string message = SysctlSink::open(path(), path()).error().message;
  EXPECT_THAT(message, HasSubstr("cannot enter " + path()));
}

}  // namespace
}  // namespace tfo
