// SPDX-License-Identifier: BSD-2-Clause
// A reload into a pool that the farm shares through etcd: with etcd, without it, taken back and
// overtaken by the daemon's end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <optional>

#include "tests/support/etcd_cluster.h"
#include "tests/support/server_site.h"
#include "tests/support/tfoctl_run.h"

namespace tfo::test {
namespace {

using nlohmann::json;
using std::chrono::duration;
using std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::Not;

/// Seconds: a loop that waits for etcd waits for half a second at least.
constexpr double kAtOnce = 0.4;

class TfodReload : public ServerSite {
 protected:
  void SetUp() override {
    ServerSite::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    cluster_.emplace();
    ASSERT_TRUE(cluster_->wait_healthy()) << cluster_->logs();
    site_.config.erase("interfaces");
    site_.config.erase("vips");
  }

  /// From now on these pools are the farm's, which `member` of etcd tells of.
  void share(const std::vector<std::string>& pools, size_t member) {
    for (const std::string& pool : pools) site_.config["pools"][pool] = {{"store", "etcd"}};
    site_.config["farm"] = {{"name", "edge"},
                            {"node", "s1"},
                            {"key_file", cluster_->path("farm.key")},
                            {"etcd", {{"endpoints", {cluster_->endpoint(member)}}}}};
    site_.write();
  }
  void make_farm(const std::string& pool = "web") const {
    const Ran ran = run_tfoctl({"farm", "init", pool, "--config", site_.path("tfod.json")});
    ASSERT_EQ(ran.code, 0) << ran.err;
  }
  void freeze_all() {
    for (size_t i = 0; i < EtcdCluster::kMembers; i++) cluster_->freeze(i);
  }
  void thaw_all() {
    for (size_t i = 0; i < EtcdCluster::kMembers; i++) cluster_->thaw(i);
  }
  std::string store() const { return site_.status()["pools"][0]["store"]; }

  std::optional<EtcdCluster> cluster_;
};

TEST_F(TfodReload, TakesTheFarmsKeys) {
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  const std::string before = sysctl("tcp_fastopen_key");
  share({"web"}, 0);
  make_farm();
  tfod.signal(SIGHUP);
  ASSERT_TRUE(tfod.says("is in force")) << tfod.log();
  EXPECT_EQ(store(), "etcd");
  EXPECT_NE(sysctl("tcp_fastopen_key"), before);
}

TEST_F(TfodReload, WithoutEtcdItIsRefusedAndNobodyWaits) {
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  share({"web"}, 0);
  make_farm();
  freeze_all();
  tfod.signal(SIGHUP);
  double longest = 0;
  const auto deadline = steady_clock::now() + std::chrono::seconds(30);
  while (!site_.raised("config_refused") && steady_clock::now() < deadline) {
    const auto asked = steady_clock::now();
    ASSERT_EQ(site_.ask({{"command", "status"}})["ok"], true) << tfod.log();
    longest = std::max(longest, duration<double>(steady_clock::now() - asked).count());
  }
  EXPECT_LT(longest, kAtOnce);
  EXPECT_THAT(tfod.log(), HasSubstr("nothing was changed: pools.web: no keys yet"));
  EXPECT_EQ(store(), "file");
}

TEST_F(TfodReload, AnotherOneReplacesTheOneThatWaits) {
  const json before = site_.config;
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  const std::string key = sysctl("tcp_fastopen_key");
  share({"web"}, 0);
  make_farm();
  freeze_all();
  tfod.signal(SIGHUP);
  ASSERT_EQ(store(), "file");  // the second signal would be the same as the first
  ASSERT_EQ(store(), "file");
  site_.config = before;
  site_.write();
  tfod.signal(SIGHUP);
  ASSERT_TRUE(tfod.says("is in force", 4)) << tfod.log();
  thaw_all();
  ASSERT_TRUE(cluster_->wait_healthy()) << cluster_->logs();
  EXPECT_EQ(store(), "file");
  EXPECT_EQ(sysctl("tcp_fastopen_key"), key);
  EXPECT_THAT(tfod.log(), Not(HasSubstr("nothing was changed")));
}

TEST_F(TfodReload, TheEndOvertakesIt) {
  set("tcp_fastopen_key", "00112233-44556677-8899aabb-ccddeeff");
  const std::string before = sysctl("tcp_fastopen_key");
  site_.config["server"]["restore_on_stop"] = true;
  share({"web", "other"}, 0);
  make_farm("web");
  make_farm("other");
  site_.config["pools"].erase("other");
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  EXPECT_NE(sysctl("tcp_fastopen_key"), before);

  // The farewell goes to the first member, which never answers, and is given up after 3 s; the keys
  // of the new pool come from the second one before that.
  share({"web", "other"}, 1);
  cluster_->freeze(0);
  cluster_->freeze(1);
  tfod.signal(SIGHUP);
  ASSERT_EQ(store(), "etcd");
  ASSERT_EQ(store(), "etcd");
  tfod.signal(SIGTERM);
  ASSERT_TRUE(tfod.says("SIGTERM: ending")) << tfod.log();
  cluster_->thaw(1);
  EXPECT_EQ(tfod.wait(), 0) << tfod.log();
  EXPECT_THAT(tfod.log(), Not(HasSubstr("is in force")));
  EXPECT_EQ(sysctl("tcp_fastopen_key"), before);
}

}  // namespace
}  // namespace tfo::test
