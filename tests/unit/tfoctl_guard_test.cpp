// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "tests/support/fake_daemon.h"

namespace {

using nlohmann::json;
using tfo::test::FakeDaemon;
using tfo::test::Ran;

TEST(TfoctlGuard, ListShowsWhoIsOverAndWhatWasSaid) {
  FakeDaemon daemon;
  daemon.answer(
      "guard-list",
      {{"guarded",
        {{{"network", "198.19.0.0/24"},
          {"vip", "web"},
          {"level", "network"},
          {"load", 40},
          {"limit", 32},
          {"since", 1700000000},
          {"over", 512}}}},
       {"guarded_total", 300},
       {"listed", {{{"network", "192.0.2.7"}, {"verdict", "deny"}, {"until", 1700000060}}}},
       {"history", json::array()},
       {"vips",
        {{{"vip", "web"}, {"state", "off: qlen unknown"}, {"exact", true}},
         {{"vip", "mail"},
          {"state", "on"},
          {"load", 5},
          {"vip_limit", 128},
          {"address_limit", 8},
          {"limit", 32},
          {"site_limit", 64},
          {"guarded", 0}}}}});
  const Ran ran = daemon.run({"guard", "list"});
  EXPECT_EQ(ran.code, 0);
  for (const char* text : {"198.19.0.0/24", "512", "and 299 older ones", "192.0.2.7", "deny",
                           "off: qlen unknown", "exact", "2023-11-14 22:14:20Z"}) {
    EXPECT_NE(ran.out.find(text), std::string::npos) << text << '\n' << ran.out;
  }
  EXPECT_NE(ran.out.find("limit  per address  per network  per /48"), std::string::npos) << ran.out;
  EXPECT_TRUE(std::regex_search(ran.out, std::regex("mail +on +5 +128 +8 +32 +64 +0"))) << ran.out;
  EXPECT_EQ(json::parse(daemon.run({"-j", "guard", "list"}).out)["guarded_total"], 300);
}

TEST(TfoctlGuard, DenyAndAllowSayHowLong) {
  FakeDaemon daemon;
  daemon.answer("guard-deny",
                {{"network", "192.0.2.0/24"}, {"verdict", "deny"}, {"until", 1700000060}});
  Ran ran = daemon.run({"guard", "deny", "192.0.2.0/24", "--for", "1h30m"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "192.0.2.0/24 is denied until 2023-11-14 22:14:20Z\n");
  EXPECT_EQ(daemon.request("guard-deny")["seconds"], 5400);
  EXPECT_EQ(daemon.request("guard-deny")["network"], "192.0.2.0/24");
  daemon.answer("guard-allow",
                {{"network", "192.0.2.7"}, {"verdict", "allow"}, {"until", nullptr}});
  ran = daemon.run({"guard", "allow", "192.0.2.7/32"});
  EXPECT_EQ(ran.out, "192.0.2.7 is allowed until it is released\n");
  EXPECT_FALSE(daemon.request("guard-allow").contains("seconds"));
  EXPECT_EQ(daemon.request("guard-allow")["network"], "192.0.2.7");
}

TEST(TfoctlGuard, ReleaseOfNothingIsNo) {
  FakeDaemon daemon;
  daemon.answer("guard-release",
                {{"network", "192.0.2.0/24"}, {"forgotten", 0}, {"unlisted", false}});
  EXPECT_EQ(daemon.run({"guard", "release", "192.0.2.0/24"}).code, 1);
  EXPECT_EQ(daemon.run({"-j", "guard", "release", "192.0.2.0/24"}).code, 1);
  daemon.answer("guard-release",
                {{"network", "192.0.2.0/24"}, {"forgotten", 2}, {"unlisted", true}});
  EXPECT_EQ(daemon.run({"guard", "release", "192.0.2.0/24"}).code, 0);
}

TEST(TfoctlGuard, ErrorsNameTheArgument) {
  FakeDaemon daemon;
  const std::pair<std::vector<std::string>, const char*> wrong[] = {
      {{"guard", "release"}, "PREFIX"},
      {{"guard", "release", "web"}, "PREFIX: 'web'"},
      {{"guard", "deny", "192.0.2.1/24", "--for", "1h"}, "give 192.0.2.0/24"},
      {{"guard", "deny", "192.0.2.0/24"}, "--for"},
      {{"guard", "deny", "192.0.2.0/24", "--for", "soon"}, "--for: 'soon'"},
      {{"guard", "allow", "192.0.2.0/24", "--for", ""}, "--for: '' is no time"},
      {{"guard", "allow", "192.0.2.0/24", "--for="}, "--for: 1 required TIME missing"},
      {{"guard", "deny", "192.0.2.0/24", "--for", ""}, "--for: '' is no time"},
      {{"guard", "allow", "192.0.2.0/24", "--for", "0"}, "--for: '0'"},
      {{"guard", "allow", "192.0.2.0/24", "--for", "9999d"}, "--for: '9999d'"},
  };
  for (const auto& [words, text] : wrong) {
    const Ran ran = daemon.run(words);
    EXPECT_EQ(ran.code, 2) << text;
    EXPECT_NE(ran.err.find(text), std::string::npos) << ran.err;
  }
  daemon.refuse("guard-deny", "no VIP has its guard on");
  EXPECT_EQ(daemon.run({"guard", "deny", "192.0.2.0/24", "--for", "1h"}).code, 2);
}

TEST(TfoctlGuard, StatsShowHandshakesAndTimes) {
  FakeDaemon daemon;
  daemon.answer(
      "stats",
      {{"node", json::object()},
       {"vips",
        {{{"name", "web"},
          {"reasons", {{"cookie_current", 10}}},
          {"actions", {{"pass", 10}}},
          {"would", {{"pass", 10}}},
          {"handshakes", {{"accepted", 7}, {"timeout", 3}}},
          {"syn_to_ack",
           {{"buckets", {{{"below_ms", 8.4}, {"count", 6}}, {{"below_ms", nullptr}, {"count", 2}}}},
            {"sum_ms", 20}}},
          {"guard", {{"over", {{"network", 4}}}, {"denied", 1}, {"spared", 3}}}}}}});
  const std::string out = daemon.run({"stats", "--vip", "web"}).out;
  for (const char* text :
       {"accepted", "Not answered within two minutes", "0 to 8 ms", "75.0 %", "8 ms and more",
        "guard: 4 SYNs of networks over their limits, 1 of denied networks, 3 refused and let "
        "through by "
        "the policy"}) {
    EXPECT_NE(out.find(text), std::string::npos) << text << '\n' << out;
  }
}

}  // namespace
