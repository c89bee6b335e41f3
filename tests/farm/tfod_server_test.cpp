// SPDX-License-Identifier: BSD-2-Clause
// The server role: keys and the server bit in named namespaces, and a namespace that is deleted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "tests/support/tfod_process.h"

namespace tfo::test {
namespace {

using ::testing::HasSubstr;

class ServerRole : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_TRUE(site_.ok());
    for (const std::string& name : names_) ASSERT_TRUE(shell("ip netns add " + name));
    site_.config["server"] = {
        {"namespaces",
         {{{"pool", "web"}, {"netns", names_[0]}}, {{"pool", "web"}, {"netns", names_[1]}}}}};
  }

  void TearDown() override {
    for (const std::string& name : names_) {
      if (std::filesystem::exists("/run/netns/" + name)) shell("ip netns del " + name);
    }
  }

  std::string sysctl(const std::string& netns, const std::string& name) const {
    const auto out = site_.path("sysctl");
    shell("ip netns exec " + netns + " cat /proc/sys/net/ipv4/" + name + " > " + out.string());
    std::string text = slurp(out);
    while (text.ends_with('\n')) text.pop_back();
    return text;
  }

  TfodSite site_;
  std::vector<std::string> names_ = {"tfo_a" + std::to_string(getpid()),
                                     "tfo_b" + std::to_string(getpid())};
};

TEST_F(ServerRole, KeepsNamespacesInStepAndLetsADeletedOneGo) {
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  EXPECT_EQ(sysctl(names_[0], "tcp_fastopen"), "3");
  const std::string first = sysctl(names_[0], "tcp_fastopen_key");
  EXPECT_EQ(sysctl(names_[1], "tcp_fastopen_key"), first);
  EXPECT_EQ(site_.ask({{"command", "key-rotate"}})["ok"], true);
  const std::string second = sysctl(names_[0], "tcp_fastopen_key");
  EXPECT_EQ(sysctl(names_[1], "tcp_fastopen_key"), second);
  EXPECT_TRUE(second.ends_with("," + first.substr(0, 35)));
  EXPECT_THAT(tfod.log(), ::testing::Not(HasSubstr(first.substr(0, 35))));

  ASSERT_TRUE(shell("ip netns del " + names_[1]));
  ASSERT_TRUE(wait_until([&] { return site_.raised("namespace_gone"); }, 20)) << tfod.log();
  EXPECT_EQ(site_.ask({{"command", "key-rotate"}})["ok"], true);
  EXPECT_TRUE(sysctl(names_[0], "tcp_fastopen_key").ends_with("," + second.substr(0, 35)));

  // The deleted one leaves the configuration; the other keeps its open descriptors.
  site_.config["server"]["namespaces"].erase(1);
  site_.write();
  tfod.signal(SIGHUP);
  ASSERT_TRUE(tfod.says("is in force")) << tfod.log();
  EXPECT_TRUE(site_.status()["conditions"].empty()) << site_.status();
  EXPECT_EQ(site_.ask({{"command", "key-rotate"}})["ok"], true);
}

TEST_F(ServerRole, WorksWithoutXdp) {
  site_.config.erase("interfaces");
  site_.config.erase("vips");
  site_.config["bpffs"] = "/nonexistent";
  TfodProcess tfod(site_.write(), site_.path("log"), {"setpriv", "--bounding-set=-bpf", "--"});
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  EXPECT_NE(sysctl(names_[0], "tcp_fastopen_key"), "00000000-00000000-00000000-00000000");
  EXPECT_EQ(site_.ask({{"command", "stats"}})["ok"], false);
  tfod.signal(SIGTERM);
  EXPECT_EQ(tfod.wait(), 0);
}

TEST_F(ServerRole, LeavesTheKeysAloneUnlessItManagesThem) {
  site_.config["server"]["manage_sysctl"] = false;
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  EXPECT_EQ(sysctl(names_[0], "tcp_fastopen_key"), "00000000-00000000-00000000-00000000");
  EXPECT_EQ(sysctl(names_[0], "tcp_fastopen"), "1");
}

TEST_F(ServerRole, SaysAtTheStartThatItsGuardIsHelplessWhereServersNeedNoCookie) {
  ASSERT_TRUE(shell("ip netns exec " + names_[1] + " sysctl -qw net.ipv4.tcp_fastopen=0x203"));
  site_.config["vips"][0]["mode"] = "enforce";
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  ASSERT_TRUE(wait_until([&] { return site_.raised("demote_unsafe"); }, 10)) << tfod.log();
  EXPECT_THAT(tfod.log(), HasSubstr("it holds nobody to a limit"));
  ASSERT_TRUE(shell("ip netns exec " + names_[1] + " sysctl -qw net.ipv4.tcp_fastopen=0x3"));
  EXPECT_TRUE(wait_until([&] { return !site_.raised("demote_unsafe"); }, 20)) << tfod.log();
}

TEST_F(ServerRole, SetsTheServerBitOnlyAfterTheDelay) {
  site_.config["server"]["enable_delay"] = "8760h";
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  EXPECT_EQ(sysctl(names_[0], "tcp_fastopen"), "1");
  EXPECT_NE(sysctl(names_[0], "tcp_fastopen_key"), "00000000-00000000-00000000-00000000");
}

TEST_F(ServerRole, ANamespaceThatIsNotThereIsNamed) {
  site_.config["server"]["namespaces"][1]["netns"] = "tfo_none";
  TfodProcess tfod(site_.write(), site_.path("log"));
  EXPECT_EQ(tfod.wait(), 2);
  EXPECT_THAT(tfod.log(), HasSubstr("/run/netns/tfo_none"));
  EXPECT_EQ(sysctl(names_[0], "tcp_fastopen_key"), "00000000-00000000-00000000-00000000");
}

}  // namespace
}  // namespace tfo::test
