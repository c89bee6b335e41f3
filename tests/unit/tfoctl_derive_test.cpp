// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>

#include "tests/support/tfoctl_run.h"

namespace tfo::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kPrimary = "f797fe36-8fdada89-1b982dd0-ce525716";
constexpr const char* kBackup = "e5129c4a-1ebe1a15-a4206306-69986976";

class KeyDerive : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "tfo-derive-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    std::iota(secret_.begin(), secret_.end(), '\0');
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string file(const std::string& content, mode_t mode = 0600) const {
    const std::string path = directory_ / "secret";
    std::ofstream(path, std::ios::binary) << content;
    chmod(path.c_str(), mode);
    return path;
  }
  static std::vector<std::string> words(const std::string& path,
                                        const std::string& interval = "86400") {
    return {"key", "derive", "--secret", path, "--interval", interval, "--at", "1700000000"};
  }

  std::filesystem::path directory_;
  std::string secret_ = std::string(32, '\0');
};

TEST_F(KeyDerive, PrintsPrimaryAndBackupOnOneLine) {
  const Ran ran = run_tfoctl(words(file(secret_)));
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, std::string(kPrimary) + "," + kBackup + "\n");
  EXPECT_EQ(ran.err, "");
  auto with_json = words(file(secret_));
  with_json.insert(with_json.begin(), "-j");
  const auto json = nlohmann::json::parse(run_tfoctl(with_json).out);
  EXPECT_EQ(json, (nlohmann::json{{"primary", kPrimary}, {"backup", kBackup}}));
}

TEST_F(KeyDerive, ReadsStandardInputAndTheClock) {
  const Ran ran = run_tfoctl(words("-"), secret_);
  EXPECT_EQ(ran.out, std::string(kPrimary) + "," + kBackup + "\n");
  const Ran now = run_tfoctl({"key", "derive", "--secret", file(secret_), "--interval", "604800"});
  EXPECT_EQ(now.code, 0) << now.err;
  EXPECT_EQ(now.out.size(), 72U);
}

TEST_F(KeyDerive, WarnsOfAFileThatOthersCanReach) {
  const Ran ran = run_tfoctl(words(file(secret_, 0644)));
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, std::string(kPrimary) + "," + kBackup + "\n");
  EXPECT_THAT(ran.err, HasSubstr("chmod it to 0600"));
}

TEST_F(KeyDerive, SaysWhatIsWrong) {
  const auto refused = [](const std::vector<std::string>& arguments, const char* word) {
    const Ran ran = run_tfoctl(arguments);
    EXPECT_EQ(ran.code, 2);
    EXPECT_EQ(ran.out, "");
    EXPECT_THAT(ran.err, HasSubstr(word));
  };
  refused(words("/nonexistent/secret"), "No such file");
  refused(words(file("short")), "has 5 bytes");
  refused(words(file(std::string(32, '\0'))), "all zero");
  refused(words(file("0: " + std::string(64, 'a'))), "INDEX SECRET");
  refused(words(file(secret_), "86401"), "even number");
  refused(words(file(secret_), "day"), "--interval");
  refused({"key", "derive", "--interval", "86400"}, "--secret");
  const Ran ran = run_tfoctl(words(file("0 " + std::string(63, 'a'))));
  EXPECT_THAT(ran.err, HasSubstr("line 1"));
  EXPECT_THAT(ran.err, Not(HasSubstr("aaaa")));
}

}  // namespace
}  // namespace tfo::test
