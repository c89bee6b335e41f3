// SPDX-License-Identifier: BSD-2-Clause
// An alert's whole way: a sysctl, a condition, an alert, an Alertmanager, a command, a restart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "tests/support/canned_server.h"
#include "tests/support/tfod_process.h"

namespace tfo::test {
namespace {

using nlohmann::json;

class TfodAlert : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_TRUE(site_.ok());
    const auto hook = site_.path("hook");
    std::ofstream(hook) << "#!/bin/sh\ncat >> " << site_.path("told").string() << "\n";
    ASSERT_EQ(chmod(hook.c_str(), 0700), 0);
    site_.config["server"] = {{"namespaces", {{{"pool", "web"}}}}};
    site_.config["alerts"] = {
        {"rules",
         {{"cookie_not_required", {{"critical", {{"hold", "0"}}}, {"clear_after", "1s"}}}}},
        {"alertmanager", {{"urls", {peer_.url()}}, {"kinds", {"server"}}}},
        {"command", {{"path", hook}}}};
  }

  json alerts() const { return site_.ask({{"command", "alert-list"}})["result"]["alerts"]; }

  /// Of the last post.
  json posted() const {
    const auto requests = peer_.requests();
    return requests.empty() ? json::array() : json::parse(requests.back().body);
  }

  TfodSite site_;
  CannedServer peer_{[](const auto&) { return CannedServer::reply(200, ""); }};
};

TEST_F(TfodAlert, IsRaisedToldKeptAndCleared) {
  ASSERT_TRUE(shell("sysctl -qw net.ipv4.tcp_fastopen=0x203"));
  const auto config = site_.write();
  json first;
  {
    TfodProcess tfod(config, site_.path("log"));
    ASSERT_TRUE(tfod.ready()) << tfod.log();
    ASSERT_TRUE(wait_until([&] { return alerts().size() == 1; }, 20)) << tfod.log();
    first = alerts()[0];
    EXPECT_EQ(first["rule"], "cookie_not_required");
    EXPECT_EQ(first["severity"], "critical");
    EXPECT_EQ(first["pool"], "web");
    EXPECT_TRUE(tfod.says("alert raised: critical cookie_not_required")) << tfod.log();
    ASSERT_TRUE(wait_until([&] { return posted().size() == 1; }, 10)) << tfod.log();
    EXPECT_EQ(posted()[0]["labels"]["rule"], "cookie_not_required");
    EXPECT_TRUE(wait_until([&] { return !slurp(site_.path("told")).empty(); }, 10)) << tfod.log();
    tfod.signal(SIGTERM);
    EXPECT_EQ(tfod.wait(), 0);
  }
  const json before = posted();
  TfodProcess tfod(config, site_.path("log2"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  ASSERT_TRUE(wait_until([&] { return peer_.requests().size() >= 2; }, 10)) << tfod.log();
  EXPECT_EQ(posted()[0]["startsAt"], before[0]["startsAt"]);
  EXPECT_EQ(posted()[0]["labels"], before[0]["labels"]);
  EXPECT_EQ(alerts()[0]["raised_at"], first["raised_at"]);
  const json last = posted();
  ASSERT_TRUE(shell("sysctl -qw net.ipv4.tcp_fastopen=0x3"));
  ASSERT_TRUE(wait_until([&] { return alerts().empty(); }, 20)) << tfod.log();
  EXPECT_TRUE(wait_until([&] { return posted()[0]["endsAt"] != last[0]["endsAt"]; }, 5));
  EXPECT_LT(posted()[0]["endsAt"], last[0]["endsAt"]) << "now, not in four minutes";
  const auto lines = [&] {
    const std::string text = slurp(site_.path("told"));
    return std::count(text.begin(), text.end(), '\n');
  };
  EXPECT_TRUE(wait_until([&] { return lines() == 2; }, 10)) << slurp(site_.path("told"));
  const std::string told = slurp(site_.path("told"));
  EXPECT_EQ(json::parse(told.substr(told.find('\n')))["what"], "cleared")
      << "it was not raised twice";
  const json shown =
      site_.ask({{"command", "alert-show"}, {"id", first["id"]}})["result"]["cleared"];
  EXPECT_EQ(shown["why"], "calm again");
}

TEST_F(TfodAlert, ReloadChangesTheRules) {
  ASSERT_TRUE(shell("sysctl -qw net.ipv4.tcp_fastopen=0x203"));
  site_.config["alerts"]["rules"]["cookie_not_required"] = "off";
  site_.write();
  TfodProcess tfod(site_.path("tfod.json"), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  ASSERT_TRUE(wait_until([&] { return site_.raised("cookie_not_required"); }, 10)) << tfod.log();
  EXPECT_TRUE(alerts().empty());
  site_.config["alerts"]["rules"]["cookie_not_required"] = {{"critical", {{"hold", "0"}}}};
  site_.write();
  tfod.signal(SIGHUP);
  EXPECT_TRUE(wait_until([&] { return alerts().size() == 1; }, 20)) << tfod.log();
}

}  // namespace
}  // namespace tfo::test
