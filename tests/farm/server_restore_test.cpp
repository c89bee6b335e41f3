// SPDX-License-Identifier: BSD-2-Clause
// What a server held before tfod comes back when that is asked for, and keys outlive a reboot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "tests/support/server_site.h"

namespace tfo::test {
namespace {

using ::testing::HasSubstr;

constexpr char kOld[] = "a0bf63f7-ed803d81-cd641d30-cebc4a90,00112233-44556677-8899aabb-ccddeeff";
constexpr char kNone[] = "00000000-00000000-00000000-00000000";

class ServerRestore : public ServerSite {
 protected:
  /// The store makes keys of its own, instead of beginning with those of the servers.
  void have_keys() {
    TfodProcess first(site_.write(), site_.path("first"));
    ASSERT_TRUE(first.ready()) << first.log();
    first.signal(SIGTERM);
    ASSERT_EQ(first.wait(), 0);
    std::filesystem::remove(site_.path("state/test.servers"));
    boot();
  }

  /// tfoctl of this build; its exit code.
  int tfoctl(const std::string& words) const {
    const std::string command = std::string(TFO_BIN_DIR) + "/tfoctl --instance test --socket " +
                                site_.path("none.sock").string() + " " + words + " --bpffs " +
                                site_.bpffs().root().string() + " --state-directory " +
                                site_.path("state").string() + " > " +
                                site_.path("tfoctl").string() + " 2>&1";
    return WEXITSTATUS(std::system(command.c_str()));  // NOLINT(cert-env33-c)
  }
};

TEST_F(ServerRestore, AfterKillNineARestartAndSigterm) {
  have_keys();
  set("tcp_fastopen_key", kOld);
  set("tcp_fastopen", "0x5");
  site_.config["server"]["restore_on_stop"] = true;
  {
    TfodProcess tfod(site_.write(), site_.path("log"));
    ASSERT_TRUE(tfod.ready()) << tfod.log();
    ASSERT_THAT(sysctl("tcp_fastopen_key"), ::testing::Not(HasSubstr("a0bf63f7")));
    ASSERT_EQ(sysctl("tcp_fastopen"), "7");
    struct stat info{};
    ASSERT_EQ(stat(site_.path("state/test.servers").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600U);
    tfod.signal(SIGKILL);
    EXPECT_EQ(tfod.wait(), 128 + SIGKILL);
  }
  TfodProcess tfod(site_.write(), site_.path("log2"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  tfod.signal(SIGTERM);
  EXPECT_EQ(tfod.wait(), 0);
  EXPECT_EQ(sysctl("tcp_fastopen_key"), kOld);
  EXPECT_EQ(sysctl("tcp_fastopen"), "5");
  EXPECT_FALSE(std::filesystem::exists(site_.path("state/test.servers"))) << "done is done";
  EXPECT_THAT(tfod.log(), ::testing::Not(HasSubstr("ed803d81")));
}

TEST_F(ServerRestore, NotUnlessAskedFor) {
  have_keys();
  set("tcp_fastopen_key", kOld);
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  const std::string ours = sysctl("tcp_fastopen_key");
  tfod.signal(SIGTERM);
  EXPECT_EQ(tfod.wait(), 0);
  EXPECT_EQ(sysctl("tcp_fastopen_key"), ours);
  EXPECT_EQ(sysctl("tcp_fastopen"), "3");
}

TEST_F(ServerRestore, WhereThereWasNoKeyOursStaysAndTheBitGoes) {
  ASSERT_EQ(sysctl("tcp_fastopen_key"), kNone);
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  const std::string ours = sysctl("tcp_fastopen_key");
  const auto reply = site_.ask({{"command", "detach"}, {"restore", true}});
  EXPECT_EQ(tfod.wait(), 0);
  EXPECT_EQ(reply["result"]["restored"][0]["done"], true) << reply;
  EXPECT_EQ(sysctl("tcp_fastopen_key"), ours);
  EXPECT_EQ(sysctl("tcp_fastopen"), "1");
  EXPECT_TRUE(tfod.says("tcp_fastopen_key stays")) << tfod.log();
}

TEST_F(ServerRestore, ByHandAfterTfodIsGone) {
  have_keys();
  set("tcp_fastopen_key", kOld);
  {
    TfodProcess tfod(site_.write(), site_.path("log"));
    ASSERT_TRUE(tfod.ready()) << tfod.log();
  }
  EXPECT_EQ(tfoctl("detach --restore"), 0) << slurp(site_.path("tfoctl"));
  EXPECT_THAT(slurp(site_.path("tfoctl")), HasSubstr("namespace " + name() + " restored"));
  EXPECT_EQ(sysctl("tcp_fastopen_key"), kOld);
  EXPECT_EQ(sysctl("tcp_fastopen"), "1");
}

TEST_F(ServerRestore, AnotherNamespaceOfThatNameIsLeftAlone) {
  have_keys();
  set("tcp_fastopen_key", kOld);
  {
    TfodProcess tfod(site_.write(), site_.path("log"));
    ASSERT_TRUE(tfod.ready()) << tfod.log();
  }
  boot();
  EXPECT_EQ(tfoctl("detach --restore"), 2) << slurp(site_.path("tfoctl"));
  EXPECT_THAT(slurp(site_.path("tfoctl")), HasSubstr("not restored"));
  EXPECT_EQ(sysctl("tcp_fastopen_key"), kNone);
}

TEST_F(ServerRestore, AFileThatIsNoneIsSaidAndKept) {
  std::filesystem::create_directories(site_.path("state"));
  std::ofstream(site_.path("state/test.servers")) << "{}";
  chmod(site_.path("state/test.servers").c_str(), 0600);
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  EXPECT_TRUE(site_.raised("server_state_failed"));
  EXPECT_EQ(slurp(site_.path("state/test.servers")), "{}");
}

TEST_F(ServerRestore, AReBootedServerGetsTheSameKeys) {
  std::string before;
  {
    TfodProcess tfod(site_.write(), site_.path("log"));
    ASSERT_TRUE(tfod.ready()) << tfod.log();
    EXPECT_EQ(site_.ask({{"command", "key-rotate"}})["ok"], true);
    before = sysctl("tcp_fastopen_key");
  }
  boot();
  ASSERT_EQ(sysctl("tcp_fastopen_key"), kNone);
  TfodProcess tfod(site_.write(), site_.path("log2"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  EXPECT_EQ(sysctl("tcp_fastopen_key"), before);
}

}  // namespace
}  // namespace tfo::test
