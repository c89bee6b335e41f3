// SPDX-License-Identifier: BSD-2-Clause
// A running tfod: interfaces that vanish and return, reloads, commands, privileges, the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <memory>

#include "tests/support/tfod_process.h"

namespace tfo::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class RunningTfod : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_TRUE(site_.ok());
    site_.config["interfaces"].push_back({{"name", "t1"}});
  }

  void start(const std::vector<std::string>& wrapper = {}) {
    tfod_ = std::make_unique<TfodProcess>(site_.write(), site_.path("log"), wrapper);
    ASSERT_TRUE(tfod_->ready()) << tfod_->log();
  }

  /// Writes the configuration and waits until the reload has been answered with `message`.
  void reload(const std::string& message) {
    const std::string before = tfod_->log();
    site_.write();
    tfod_->signal(SIGHUP);
    ASSERT_TRUE(wait_until([&] {
      return tfod_->log().substr(before.size()).find(message) != std::string::npos;
    })) << tfod_->log();
  }

  json interface(const std::string& name) const {
    const json now = site_.status();
    for (const json& one : now["interfaces"]) {
      if (one["name"] == name) return one;
    }
    return {};
  }

  TfodSite site_;
  std::unique_ptr<TfodProcess> tfod_;
};

TEST_F(RunningTfod, AnInterfaceVanishesAndReturns) {
  start();
  const unsigned other = xdp_program_id("t1");
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(shell("ip link del t0"));
    ASSERT_TRUE(wait_until([&] { return site_.raised("interface_gone"); }));
    EXPECT_EQ(interface("t0")["mode"], "gone");
    EXPECT_EQ(interface("t1")["mode"], "native");
    EXPECT_EQ(xdp_program_id("t1"), other);
    ASSERT_TRUE(site_.netns().add_veth("t0"));
    ASSERT_TRUE(wait_until([&] { return !site_.raised("interface_gone"); }));
    EXPECT_EQ(interface("t0")["mode"], "native");
    EXPECT_NE(xdp_program_id("t0"), 0u);
  }
  EXPECT_THAT(tfod_->log(), HasSubstr("condition raised: interface_gone t0"));
  EXPECT_THAT(tfod_->log(), HasSubstr("condition cleared: interface_gone t0"));
}

TEST_F(RunningTfod, AnInterfaceReturnsWithSomeoneElsesProgram) {
  start();
  ASSERT_TRUE(shell("ip link del t0"));
  ASSERT_TRUE(wait_until([&] { return site_.raised("interface_gone"); }));
  // Attached before it gets its name, so that it is there first.
  ASSERT_TRUE(site_.netns().add_veth("x0"));
  ASSERT_NE(attach_foreign_program("x0"), 0u);
  ASSERT_TRUE(shell("ip link set x0 down; ip link set x0 name t0; ip link set t0 up"));
  ASSERT_TRUE(wait_until([&] { return site_.raised("interface_failed"); })) << tfod_->log();
  EXPECT_EQ(interface("t0")["mode"], "failed");
  ASSERT_TRUE(shell("ip link set t0 xdp off"));
  ASSERT_TRUE(wait_until([&] { return interface("t0")["mode"] == "native"; }, 20)) << tfod_->log();
  EXPECT_FALSE(site_.raised("interface_failed"));
}

TEST_F(RunningTfod, AnInvalidReloadChangesNothing) {
  start();
  const json keys = site_.ask({{"command", "keys"}});
  const unsigned program = xdp_program_id("t0");
  const json good = site_.config;
  site_.config["vips"][0]["pool"] = "wbe";
  site_.config["interfaces"].erase(0);
  reload("there is no pool \"wbe\"; did you mean \"web\"?");
  EXPECT_TRUE(site_.raised("config_refused"));
  EXPECT_EQ(site_.ask({{"command", "keys"}}), keys);
  EXPECT_EQ(xdp_program_id("t0"), program);
  EXPECT_EQ(site_.ask({{"command", "vips"}})["result"]["vips"][0]["pool"], "web");
  site_.config = good;
  reload("is in force");
  EXPECT_FALSE(site_.raised("config_refused"));
}

TEST_F(RunningTfod, AReloadThatCannotAttachChangesNothing) {
  start();
  const json good = site_.config;
  site_.config["interfaces"].push_back({{"name", "nonet9"}});
  site_.config["vips"].push_back({{"name", "b"}, {"addresses", {"192.0.2.11"}}, {"pool", "web"}});
  reload("nonet9");
  EXPECT_TRUE(site_.raised("config_refused"));
  EXPECT_EQ(site_.ask({{"command", "vips"}})["result"]["vips"].size(), 1u);
  EXPECT_EQ(site_.ask({{"command", "stats"}})["result"]["vips"].size(), 1u);
  EXPECT_EQ(site_.status()["interfaces"].size(), 2u);
}

TEST_F(RunningTfod, AReloadTakesAndLeavesInterfacesVipsAndPools) {
  start();
  const json before = site_.ask({{"command", "keys"}})["result"]["pools"][0];
  site_.config["interfaces"].erase(0);
  site_.config["pools"]["api"] = json::object();
  site_.config["vips"].push_back({{"name", "b"}, {"addresses", {"192.0.2.11"}}, {"pool", "api"}});
  reload("is in force");
  EXPECT_EQ(xdp_program_id("t0"), 0u);
  EXPECT_NE(xdp_program_id("t1"), 0u);
  const json pools = site_.ask({{"command", "keys"}})["result"]["pools"];
  ASSERT_EQ(pools.size(), 2u);
  EXPECT_EQ(pools[1], before);
  EXPECT_EQ(site_.ask({{"command", "stats"}})["result"]["vips"].size(), 2u);
  // Another policy for a pool keeps its keys.
  site_.config["pools"]["web"]["accept_generations"] = 2;
  reload("is in force");
  EXPECT_EQ(site_.ask({{"command", "keys"}})["result"]["pools"][1]["generations"][0]["id"],
            before["generations"][0]["id"]);
}

TEST_F(RunningTfod, AReloadCannotMoveTheSocket) {
  start();
  site_.config["socket"] = site_.path("run/elsewhere.sock");
  site_.write();
  site_.config["socket"] = site_.path("run/tfod.sock");
  tfod_->signal(SIGHUP);
  ASSERT_TRUE(tfod_->says("socket cannot change while tfod runs: restart it instead"));
  EXPECT_TRUE(site_.raised("config_refused"));
}

TEST_F(RunningTfod, EndsInOrderAndStaysOnTheWire) {
  start();
  const unsigned program = xdp_program_id("t0");
  tfod_->signal(SIGTERM);
  EXPECT_EQ(tfod_->wait(), 0);
  EXPECT_EQ(xdp_program_id("t0"), program);
  EXPECT_FALSE(exists(site_.path("run/tfod.sock")));
  start();
  EXPECT_EQ(site_.status()["adopted"], true);
}

TEST_F(RunningTfod, DetachTakesEverythingOffTheWire) {
  start();
  EXPECT_EQ(site_.ask({{"command", "detach"}})["result"]["interfaces"], json({"t0", "t1"}));
  EXPECT_EQ(tfod_->wait(), 0);
  EXPECT_EQ(xdp_program_id("t0"), 0u);
  EXPECT_FALSE(exists(site_.bpffs().pins() / "maps"));
}

TEST_F(RunningTfod, HasOnlyTheCapabilitiesThatItNeeds) {
  start();
  const std::string status = slurp("/proc/" + std::to_string(tfod_->pid()) + "/status");
  // CAP_NET_ADMIN 12, CAP_PERFMON 38, CAP_BPF 39
  for (const char* set : {"CapPrm", "CapEff", "CapBnd"}) {
    EXPECT_THAT(status, HasSubstr(std::string(set) + ":\t000000c000001000\n"));
  }
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1\n"));
  EXPECT_THAT(slurp("/proc/" + std::to_string(tfod_->pid()) + "/limits"),
              ::testing::ContainsRegex("Max core file size +0 +0"));
}

TEST_F(RunningTfod, NeedsNoMoreThanItsUnitGrants) {
  site_.config["server"] = {{"namespaces", {{{"pool", "web"}}}}};
  start({"setpriv", "--bounding-set=-all,+bpf,+net_admin,+perfmon", "--"});
  ASSERT_TRUE(shell("ip link del t0"));
  ASSERT_TRUE(wait_until([&] { return site_.raised("interface_gone"); }));
  ASSERT_TRUE(site_.netns().add_veth("t0"));
  ASSERT_TRUE(wait_until([&] { return !site_.raised("interface_gone"); }));
  EXPECT_EQ(site_.ask({{"command", "key-rotate"}, {"pool", "web"}})["ok"], true);
  EXPECT_TRUE(site_.status()["conditions"].empty()) << tfod_->log();
  EXPECT_EQ(site_.ask({{"command", "detach"}})["ok"], true);
  EXPECT_EQ(tfod_->wait(), 0);
}

TEST_F(RunningTfod, ServesMetricsOnAFreePort) {
  site_.config["http"] = {{"listen", "127.0.0.1:0"}};
  start();
  const std::string where = site_.status()["http"];
  ASSERT_TRUE(shell("curl -sf http://" + where + "/metrics -o " + site_.path("m").string()));
  const std::string metrics = slurp(site_.path("m"));
  EXPECT_THAT(metrics,
              HasSubstr("tfo_program_info{ifname=\"t0\",hook=\"xdp\",xdp_mode=\"native\""));
  EXPECT_THAT(
      metrics,
      HasSubstr("tfo_packets_total{vip=\"web\",reason=\"plain\",option=\"none\",data=\"0\"}"));
  EXPECT_TRUE(shell("curl -sf http://" + where + "/healthz"));
  EXPECT_FALSE(shell("curl -sf http://" + where + "/nothing"));
}

TEST_F(RunningTfod, GenericModeIsLoudUnlessAskedFor) {
  site_.config["interfaces"][0]["mode"] = "generic";
  start();
  EXPECT_EQ(interface("t0")["mode"], "generic");
  EXPECT_FALSE(site_.raised("generic_mode"));
}

TEST_F(RunningTfod, FallsBackToGenericLoudlyAndOnlyIfAllowed) {
  ASSERT_TRUE(shell("ip link add tbr type bridge && ip link set tbr up"));
  site_.config["interfaces"][0] = {{"name", "tbr"}, {"mode", "auto"}};
  start();
  EXPECT_EQ(interface("tbr")["mode"], "generic");
  EXPECT_TRUE(site_.raised("generic_mode"));
  EXPECT_THAT(tfod_->log(), HasSubstr("condition raised: generic_mode tbr"));
  EXPECT_EQ(site_.ask({{"command", "detach"}})["ok"], true);
  ASSERT_EQ(tfod_->wait(), 0);
  site_.config["interfaces"][0]["mode"] = "native";
  TfodProcess refused(site_.write(), site_.path("log2"));
  EXPECT_EQ(refused.wait(), 2) << refused.log();
  EXPECT_THAT(refused.log(), HasSubstr("tbr"));
  EXPECT_EQ(xdp_program_id("t1"), 0u);
}

}  // namespace
}  // namespace tfo::test
