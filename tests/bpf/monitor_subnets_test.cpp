// SPDX-License-Identifier: BSD-2-Clause
// The /64s of a declared IPv6 prefix are counted one by one, as far as there are counters for them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bpf/synack_core.h"
#include "loader/monitor/monitor.h"
#include "tests/support/monitor_node.h"
#include "tests/support/monitor_world.h"
#include "tests/support/outcome.h"

namespace tfo::test::monitor_subnets_test {
namespace {

constexpr uint64_t kTenth = MonitorNode::kSecond / 10;
using Names = std::vector<std::string>;

MonitorSubject dark(const std::string& name, const std::string& address, unsigned length) {
  MonitorSubject out{.name = name,
                     .kind = TFO_TARGET_TRACKED,
                     .prefixes = {{.length = length}},
                     .each_address = true};
  inet_pton(AF_INET6, address.c_str(), out.prefixes[0].address.data());
  return out;
}

/// Of what comes to two /64s of it. `site`: 2001:db8:`site`::/`length`.
void expect_exact(unsigned length, const std::string& site) {
  SCOPED_TRACE(fmt::format("/{}", length));
  MonitorNode node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({dark("other", "2001:db8:ffff::", 48),
                        dark("net", fmt::format("2001:db8:{}::", site), length)}));
  const std::string first = fmt::format("2001:db8:{}:1", site);
  const std::string last = fmt::format("2001:db8:{}:ff", site);
  node.arrive(unasked("2001:db8:2::1", last + "::9"), 100);  // of before: not in there
  node.reading("carpet", "net");
  node.advance(2000 * kTenth);
  node.reading("carpet", "net");
  node.arrive(unasked("2001:db8:2::1", first + "::8"), 7);
  for (int i = 0; i < 8; i++) {  // all at once, more samples than the ring holds would be lost
    node.arrive(unasked("2001:db8:2::1", first + "::7"), 3'750);
    node.arrive(unasked("2001:db8:2::1", last + "::9"), 1'250);
    node.reading("carpet", "net");
    node.advance(kTenth);
  }
  const auto evidence = node.reading("carpet", "net").evidence();
  EXPECT_EQ(evidence["exact"], Names{"victim_networks"});
  const auto& networks = evidence["top"]["victim_networks"];
  ASSERT_EQ(networks.size(), 2U);
  EXPECT_EQ(networks[0]["network"], first + "::/64");
  EXPECT_EQ(networks[0]["packets"], 30'007);
  EXPECT_EQ(networks[0]["bytes"], 30'007 * 60);
  EXPECT_EQ(networks[0]["share"], 0.75);
  EXPECT_EQ(networks[1]["network"], last + "::/64");
  EXPECT_EQ(networks[1]["packets"], 10'000);
  EXPECT_EQ(evidence["top"]["victims"][0]["address"], first + "::7");
  EXPECT_GT(evidence["top"]["weight_max"], 2) << "by their samples they would be some per cent off";
}

TEST(MonitorSubnets, VolumesAreExact) {
  expect_exact(56, "100");
  expect_exact(48, "100");
  expect_exact(40, "100");
}

/// Two /64s of a /32 with one counter.
std::pair<std::string, std::string> neighbours(const MonitorNode& node) {
  tfo_target target{};
  target.around_length = 32;
  target.first = 16U << TFO_SUBNET_SHIFT;
  std::map<uint32_t, std::string> seen;
  for (int i = 0; i < 65536; i++) {
    const std::string subnet = fmt::format("2001:db8:7:{:x}", i);
    tfo_vip_key key{};
    MonitorAddress address{};
    inet_pton(AF_INET6, (subnet + "::").c_str(), address.data());
    std::memcpy(&key.high, address.data(), sizeof(key.high));
    const auto [had, first] =
        seen.emplace(tfo_subnet_of(&target, &key, node.maps().control.hash_seed()), subnet);
    if (!first) return {had->second, subnet};
  }
  ADD_FAILURE() << "no two of them share a counter";
  return {};
}

/// What a shared counter counts is no volume of either.
TEST(MonitorSubnets, OfSharedCountersTheSamplesTell) {
  MonitorNode node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({dark("net", "2001:db8::", 32)}));
  node.reading("carpet", "net");
  const auto [one, other] = neighbours(node);
  node.arrive(unasked("2001:db9::1", one + "::1"), 5'000);
  EXPECT_TRUE(node.reading("carpet", "net").evidence().contains("exact")) << "its own, till now";
  node.arrive(unasked("2001:db9::1", other + "::1"), 5'000);
  const auto evidence = node.reading("carpet", "net").evidence();
  EXPECT_EQ(evidence["volume"]["packets"], 10'000);
  EXPECT_FALSE(evidence.contains("exact"));
  ASSERT_EQ(evidence["top"]["victim_networks"].size(), 2U);
  EXPECT_NEAR(evidence["top"]["victim_networks"][0]["packets"], 5'000, 700);
}

/// One of the heaviest has its counter with one that is not among them.
TEST(MonitorSubnets, WhatOneOfTheHeaviestSharesIsSeen) {
  MonitorNode node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({dark("net", "2001:db8::", 32)}));
  node.reading("carpet", "net");
  const auto [one, other] = neighbours(node);
  node.arrive(unasked("2001:db9::1", one + "::1"), 85);
  for (int i = 1; i < 10; i++) {
    node.arrive(unasked("2001:db9::1", fmt::format("2001:db8:f:{:x}::1", i)), 90);
  }
  EXPECT_EQ(node.reading("carpet", "net").evidence()["exact"], Names{"victim_networks"});
  node.arrive(unasked("2001:db9::1", other + "::1"), 25);
  EXPECT_FALSE(node.reading("carpet", "net").evidence().contains("exact"))
      << "a fifth of its packets is another's";
}

/// The ring of samples was full when what shares its counter came.
TEST(MonitorSubnets, WhatNoSampleShowsIsMissed) {
  for (const bool shares : {false, true}) {
    MonitorNode node;
    ASSERT_OK(node.start());
    ASSERT_OK(node.watch({dark("net", "2001:db8::", 32), vip()}));
    node.reading("carpet", "net");
    const auto [one, other] = neighbours(node);
    node.arrive(unasked("2001:db9::1", one + "::1"), 85);
    for (int i = 1; i < 10; i++) {
      node.arrive(unasked("2001:db9::1", fmt::format("2001:db8:f:{:x}::1", i)), 90);
    }
    node.arrive(unasked(host(1), "192.0.2.10"), 300'000);
    if (shares) node.arrive(unasked("2001:db9::1", other + "::1"), 60);
    const auto evidence = node.reading("carpet", "net").evidence();
    EXPECT_GT(node.monitor().counters("web")->samples_lost, 0U);
    EXPECT_EQ(evidence.contains("exact"), !shares) << evidence;
  }
}

TEST(MonitorSubnets, AFewSamplesDoNotShowWhoseACounterIs) {
  MonitorNode node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({dark("net", "2001:db8::", 32)}));
  node.reading("carpet", "net");
  node.arrive(unasked("2001:db9::1", "2001:db8:7:7::1"), 60);
  EXPECT_FALSE(node.reading("carpet", "net").evidence().contains("exact"));
  node.arrive(unasked("2001:db9::1", "2001:db8:7:7::1"), 10);
  EXPECT_TRUE(node.reading("carpet", "net").evidence().contains("exact"));
}

/// More than the tables of samples hold: what is not told apart may be in any counter.
TEST(MonitorSubnets, BesideManyThinOnesItTakesMore) {
  MonitorNode node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({dark("net", "2001:db8::", 32)}));
  node.reading("carpet", "net");
  for (int i = 0; i < 1'060; i++) {
    node.arrive(unasked("2001:db9::1", fmt::format("2001:db8:8:{:x}::1", i)), 10);
    if (i % 90 == 0) node.reading("carpet", "net");
    if (i % 90 == 0) node.advance(kTenth);
  }
  const auto ten_heavy_ones = [&](int rounds) {
    for (int i = 0; i < rounds; i++) {
      node.advance(kTenth);
      for (int j = 1; j <= 10; j++) {
        node.arrive(unasked("2001:db9::1", fmt::format("2001:db8:9:{:x}::1", j)), 90);
      }
      node.reading("carpet", "net");
    }
    return node.reading("carpet", "net").evidence();
  };
  EXPECT_FALSE(ten_heavy_ones(1).contains("exact"));
  EXPECT_TRUE(ten_heavy_ones(4).contains("exact"));
}

/// The counters are others then, and what they had is not known of the attack.
TEST(MonitorSubnets, AChangeOfThePrefixesLeavesTheSamples) {
  MonitorNode node;
  ASSERT_OK(node.start());
  const MonitorSubject net = dark("net", "2001:db8:1::", 48);
  const MonitorSubject web{.name = "web",
                           .kind = TFO_TARGET_VIP,
                           .prefixes = {dark("", "2001:db8:1:9::7", 128).prefixes}};
  ASSERT_OK(node.watch({web, net}));
  node.reading("carpet", "net");
  node.arrive(unasked("2001:db9::1", "2001:db8:1:9::7"), 600);
  const auto before = node.reading("carpet", "net").evidence();
  EXPECT_EQ(before["exact"], Names{"victim_networks"});
  EXPECT_EQ(before["top"]["victim_networks"][0]["network"], "2001:db8:1:9::/64");
  EXPECT_EQ(before["top"]["victim_networks"][0]["packets"], 600) << "though it has a name";
  ASSERT_OK(node.watch({dark("first", "2001:db8:2::", 48), web, net}));
  node.arrive(unasked("2001:db9::1", "2001:db8:1:9::7"), 300);
  const auto after = node.reading("carpet", "net").evidence();
  EXPECT_FALSE(after.contains("exact"));
  EXPECT_EQ(after["volume"]["packets"], 900);
}

TEST(MonitorSubnets, ACarpetOverManyIsExact) {
  MonitorNode node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({dark("net", "2001:db8:1::", 48)}));
  node.reading("carpet", "net");
  for (int i = 0; i < 300; i++) {
    node.arrive(unasked("2001:db9::1", fmt::format("2001:db8:1:{:x}::1", i + 1)),
                i < 20 ? 100 - i : 10);
  }
  const auto evidence = node.reading("carpet", "net").evidence();
  EXPECT_EQ(evidence["exact"], Names{"victim_networks"});
  const auto& networks = evidence["top"]["victim_networks"];
  ASSERT_GE(networks.size(), 5U);
  for (size_t i = 0; i < networks.size(); i++) {
    EXPECT_EQ(networks[i]["network"], fmt::format("2001:db8:1:{:x}::/64", i + 1));
    EXPECT_EQ(networks[i]["packets"], 100 - i);
  }
}

}  // namespace
}  // namespace tfo::test::monitor_subnets_test
