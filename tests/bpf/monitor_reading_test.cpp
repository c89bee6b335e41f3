// SPDX-License-Identifier: BSD-2-Clause
// User space's side of the SYN-ACK monitor on real maps: what the programs count comes out as
// readings for the alerts, with their evidence.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "bpf/bloom.h"
#include "loader/monitor/monitor.h"
#include "tests/support/monitor_node.h"
#include "tests/support/monitor_world.h"
#include "tests/support/outcome.h"

namespace tfo::test::monitor_reading_test {
namespace {

using Node = MonitorNode;
constexpr uint64_t kSecond = MonitorNode::kSecond;

MonitorSubject net() {
  return {.name = "net",
          .kind = TFO_TARGET_TRACKED,
          .prefixes = {prefix("192.0.2.0", 24)},
          .each_address = true};
}

TEST(MonitorReading, AnAttackOnAVip) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({vip()}));
  EXPECT_EQ(node.reading("vip", "web").count, 0U);
  for (uint32_t i = 0; i < 300; i++) {  // ten from each of three networks, and 270 others
    const uint32_t source = i < 30 ? (i % 3) << 8 | i : 0x100000 + (i << 8);
    Packet packet = unasked(host(source), "192.0.2.10", static_cast<uint16_t>(1000 + i));
    if (i < 100) packet.option(fast_open(Bytes(8, 0x77))).data(400);
    node.arrive(packet);
  }
  const MonitorReading reading = node.reading("vip", "web");
  EXPECT_EQ(reading.count, 300U);
  EXPECT_EQ(reading.bytes, 100U * (52 + 400) + 200U * 40);
  EXPECT_NEAR(static_cast<double>(reading.sources), 300, 15);
  EXPECT_EQ(reading.readiness, MonitorReadiness::kReady);
  EXPECT_EQ(node.reading("vip_slow", "web").count, 300U);
  const auto evidence = node.reading("vip", "web").evidence();
  EXPECT_EQ(evidence["volume"]["packets"], 300);
  EXPECT_EQ(evidence["volume"]["fast_open"], 100);
  EXPECT_EQ(evidence["volume"]["payload_bytes"], 40'000);
  EXPECT_EQ(evidence["top"]["reflectors"][0]["packets"], 10);
  EXPECT_EQ(evidence["top"]["source_ports"][0]["port"], 443);
  EXPECT_EQ(evidence["top"]["destination_ports"].size(), 10U);
  EXPECT_EQ(evidence["top"]["samples"], 300);
  EXPECT_EQ(evidence["top"]["weight_now"], 1);
  EXPECT_EQ(evidence["filter"],
            "(dst net 192.0.2.10) and tcp src port 443 and (tcp[13] & 0x12 = 0x12 or ip6[53] & "
            "0x12 = 0x12)");
  EXPECT_LE(evidence.dump().size(), 4096U);
  const auto file = node.monitor().pcap("web");
  const auto cookie = [](uint8_t a, uint8_t b) { return a == 0x77 && b == 0x77; };
  EXPECT_EQ(std::ranges::adjacent_find(file, cookie), file.end()) << "cookies are hidden";
  EXPECT_GT(file.size(), 20 * 52U);
}

TEST(MonitorReading, TakesNoMoreSamplesAtOnceThanItIsAskedTo) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({vip()}));
  node.reading("vip", "web");
  for (uint16_t i = 0; i < 300; i++) {
    node.arrive(unasked(host(0x100000 + (i << 8)), "192.0.2.10", static_cast<uint16_t>(1000 + i)));
  }
  auto readings = node.monitor().read(100);
  ASSERT_OK(readings);
  const auto web = std::ranges::find(*readings, "vip", &MonitorReading::rule);
  ASSERT_NE(web, readings->end());
  EXPECT_EQ(web->evidence()["top"]["samples"], 100);
  EXPECT_EQ(node.reading("vip", "web").evidence()["top"]["samples"], 300) << "the rest is kept";
}

/// A path may put extension headers before TCP.
TEST(MonitorReading, NoCookieIsInTheHeadersThatAreShown) {
  Node node;
  ASSERT_OK(node.start());
  MonitorSubject web{.name = "web", .kind = TFO_TARGET_VIP, .prefixes = {{}}};
  inet_pton(AF_INET6, "2001:db8:1::7", web.prefixes[0].address.data());
  ASSERT_OK(node.watch({web}));
  for (size_t length = 7; length < 80; length += 8) {
    Packet packet = unasked("2001:db8:2::1", "2001:db8:1::7", static_cast<uint16_t>(length));
    Bytes padding(length);
    padding[0] = static_cast<uint8_t>(length / 8);
    packet.extension(kDestinationOptions, padding).option(fast_open(Bytes(8, 0x77)));
    node.arrive(packet);
  }
  EXPECT_EQ(node.reading("vip", "web").count, 10U);
  const auto file = node.monitor().pcap("web");
  EXPECT_GT(file.size(), 10 * 60U);
  EXPECT_EQ(std::ranges::count(file, 0x77), 0);
}

TEST(MonitorReading, ACarpetOverAPrefix) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({vip(), net()}));
  for (uint32_t i = 0; i < 1000; i++) {
    node.arrive(unasked(host(i), "192.0.2." + std::to_string(i % 200), 7));
  }
  const MonitorReading carpet = node.reading("carpet", "net");
  EXPECT_EQ(carpet.count, 1000U);
  EXPECT_EQ(carpet.sources, 200U);
  const MonitorReading part = node.reading("vip", "web");
  EXPECT_EQ(part.count, 5U);
  EXPECT_EQ(part.part_of, "net");
  const auto evidence = node.reading("carpet", "net").evidence();
  EXPECT_EQ(evidence["addresses_hit"], 200);
  EXPECT_EQ(evidence["top"]["victim_networks"][0]["network"], "192.0.2.0/24");
  EXPECT_EQ(evidence["top"]["victim_networks"][0]["packets"], 1000);
  EXPECT_EQ(evidence["top"]["victim_networks"][0]["bytes"], 40'000);
  EXPECT_EQ(evidence["exact"], (std::vector<std::string>{"victim_networks", "victims"}));
  EXPECT_LE(evidence.dump().size(), 3300U);
  node.advance(20 * kSecond);
  EXPECT_EQ(node.reading("carpet", "net").sources, 0U) << "none of late";
}

/// Of the hundred that came before, nothing is in there.
TEST(MonitorReading, VolumesOfNetworksAndVictimsAreExact) {
  Node node;
  ASSERT_OK(node.start());
  MonitorSubject wide = net();
  wide.name = "wide";
  wide.prefixes = {prefix("198.51.100.0", 22)};
  ASSERT_OK(node.watch({net(), wide}));
  node.arrive(unasked(host(1), "198.51.103.9"), 100);
  node.reading("carpet", "net");
  node.advance(200 * kSecond);
  node.reading("carpet", "net");
  node.arrive(unasked(host(2), "198.51.103.7"), 700);
  node.arrive(unasked(host(3), "198.51.103.9"), 200);
  node.arrive(unasked(host(4), "198.51.100.255"), 300);
  const auto top = node.reading("carpet", "wide").evidence()["top"];
  EXPECT_EQ(top["victims"].size(), 3U);
  EXPECT_EQ(top["victims"][0]["address"], "198.51.103.7");
  EXPECT_EQ(top["victims"][0]["packets"], 700);
  EXPECT_EQ(top["victims"][2]["packets"], 200);
  EXPECT_EQ(top["victim_networks"].size(), 2U);
  EXPECT_EQ(top["victim_networks"][0]["network"], "198.51.103.0/24");
  EXPECT_EQ(top["victim_networks"][0]["packets"], 900);
  EXPECT_EQ(top["victim_networks"][0]["share"], 0.75);
  EXPECT_EQ(top["victim_networks"][1]["bytes"], 12'000);
}

TEST(MonitorReading, TrackingWarmsUpAndIsProven) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({office()}));
  node.arrive(unasked(host(1), "192.0.2.5"));
  EXPECT_EQ(node.reading("tracked", "office").readiness, MonitorReadiness::kNotWarm);
  node.advance(138 * kSecond);
  EXPECT_EQ(node.reading("tracked", "office").readiness, MonitorReadiness::kUnproven);
  for (uint16_t i = 0; i < 20; i++) {
    const Packet syn = Packet::syn("192.0.2.5", host(9)).ports(static_cast<uint16_t>(5000 + i), 80);
    node.leave(syn);
    Packet back = unasked(host(9), "192.0.2.5", static_cast<uint16_t>(5000 + i));
    back.tcp.source = 80;
    node.arrive(back);
  }
  const MonitorReading ready = node.reading("tracked", "office");
  EXPECT_EQ(ready.readiness, MonitorReadiness::kReady) << ready.why;
  EXPECT_EQ(ready.count, 1U);
  EXPECT_EQ(ready.total, 21U);
  node.monitor().tracking_was_away();
  EXPECT_EQ(node.reading("tracked", "office").readiness, MonitorReadiness::kNotWarm);
}

TEST(MonitorReading, ARestartGoesOnWhereItWas) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({vip(), office()}));
  node.advance(160 * kSecond);  // what is remembered of it may be 17 s short
  node.arrive(unasked(host(1), "192.0.2.5"));
  node.arrive(unasked(host(1), "192.0.2.10"), 5);
  for (const bool unbroken : {true, false}) {
    ASSERT_OK(node.restart(unbroken));
    ASSERT_OK(node.watch({office(), vip()}));  // in another order
    const MonitorReading tracked = node.reading("tracked", "office");
    EXPECT_EQ(tracked.readiness,
              unbroken ? MonitorReadiness::kUnproven : MonitorReadiness::kNotWarm);
    EXPECT_EQ(tracked.count, 1U);
    EXPECT_EQ(node.reading("vip", "web").count, 5U);
    EXPECT_EQ(node.monitor().view().totals.kinds[0].unsolicited[0][0].packets, 5U);
  }
  node.monitor().tracking_was_away();
  ASSERT_OK(node.restart(true));
  ASSERT_OK(node.watch({office(), vip()}));
  EXPECT_EQ(node.reading("tracked", "office").readiness, MonitorReadiness::kNotWarm)
      << "SYNs had left unseen";
}

TEST(MonitorReading, ThisNodesOwnAddressIsWarmAtOnceUnlessItCameLater) {
  Node node;
  ASSERT_OK(node.start());
  MonitorSubject own = office();
  own.prefixes = {prefix("192.0.2.5", 32)};
  own.here = {own.prefixes[0].address};
  ASSERT_TRUE(own.local());
  ASSERT_OK(node.watch({own}, true));
  EXPECT_EQ(node.reading("tracked", "office").readiness, MonitorReadiness::kUnproven);
  own.here = {};
  ASSERT_OK(node.watch({own}, true));
  EXPECT_EQ(node.reading("tracked", "office").readiness, MonitorReadiness::kNotWarm);
  own.here = {own.prefixes[0].address};
  ASSERT_OK(node.watch({own}, true));
  EXPECT_EQ(node.reading("tracked", "office").readiness, MonitorReadiness::kNotWarm)
      << "its SYNs left elsewhere until now";
}

/// It moved here, with VRRP or a virtual machine: its SYNs left elsewhere until now.
TEST(MonitorReading, AnAddressThatComesIntoATrackedNetworkMakesItWaitAnew) {
  Node node;
  ASSERT_OK(node.start());
  MonitorSubject many = office();
  ASSERT_OK(node.watch({many}, true));
  node.advance(200 * kSecond);
  EXPECT_EQ(node.reading("tracked", "office").readiness, MonitorReadiness::kUnproven);
  MonitorAddress came = many.prefixes[0].address;
  came[15] = 5;
  many.here = {came};
  ASSERT_FALSE(many.local());
  ASSERT_OK(node.watch({many}, true));
  EXPECT_EQ(node.reading("tracked", "office").readiness, MonitorReadiness::kNotWarm);
  ASSERT_OK(node.restart(true));
  ASSERT_OK(node.watch({many}, true));
  EXPECT_EQ(node.reading("tracked", "office").readiness, MonitorReadiness::kNotWarm)
      << "a tfod after this one knows it";
}

TEST(MonitorReading, AVipThatOpensConnectionsIsJudgedByWhatComesBeyondThem) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({vip()}));
  for (int second = 0; second < 30; second++) {
    node.advance(kSecond);
    node.leave(Packet::syn("192.0.2.10", host(1)), 100);
    node.arrive(unasked(host(1), "192.0.2.10"), second < 15 ? 100 : 1100);
    node.reading("vip", "web");
    if (second == 14) EXPECT_EQ(node.reading("vip", "web").count, 0U) << "health checks";
  }
  EXPECT_NEAR(static_cast<double>(node.reading("vip", "web").count), 10'500, 2000)
      << "15 s of 1,000/s, seen through a window of 10 s";
}

/// Whoever opens connections in a declared prefix may have a name of its own.
TEST(MonitorReading, APrefixIsProvenByItsParts) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({office(), net()}));
  node.reading("carpet", "net");
  for (uint16_t i = 0; i < 20; i++) {
    node.leave(Packet::syn("192.0.2.5", host(9)).ports(static_cast<uint16_t>(5000 + i), 443));
    node.arrive(unasked(host(9), "192.0.2.5", static_cast<uint16_t>(5000 + i)));
  }
  node.advance(138 * kSecond);
  const MonitorReading ready = node.reading("carpet", "net");
  EXPECT_EQ(ready.readiness, MonitorReadiness::kReady) << ready.why;
  EXPECT_EQ(ready.count, 0U);
}

/// 50,000 SYNs leave one host, sixteen times what a filter is made for, beside honest ones: none of
/// the honest answers is taken for an attack, and the flood is told.
TEST(MonitorReading, AnOutgoingFloodDoesNotCryWolf) {
  Node node;
  ASSERT_OK(node.start(1024));
  ASSERT_OK(node.watch({office()}));
  uint32_t sent = 0;
  for (uint32_t honest = 0; honest < 1000; honest++) {
    const auto port = static_cast<uint16_t>(1024 + honest);
    const std::string inside = "192.0.2." + std::to_string(10 + honest % 100);
    for (int i = 0; i < 50; i++, sent++) {
      node.leave(Packet::syn("192.0.2.1", host(sent)).ports(static_cast<uint16_t>(sent), 443));
    }
    node.leave(Packet::syn(inside, host(honest)).ports(port, 443));
    node.arrive(unasked(host(honest), inside, port));
  }
  const MonitorReading tracked = node.reading("tracked", "office");
  EXPECT_EQ(tracked.count, 0U);
  EXPECT_FALSE(tracked.saturated) << "the flood fills a filter of its own";
  const MonitorReading flood = node.reading("outgoing_syn_flood", "node");
  EXPECT_EQ(flood.count, sent + 1000U);
  EXPECT_TRUE(flood.saturated);
  const auto evidence = flood.evidence();
  ASSERT_EQ(evidence["sources"].size(), 1U) << evidence;
  EXPECT_EQ(evidence["sources"][0]["address"], "192.0.2.1");
  EXPECT_GT(evidence["sources"][0]["syns_at_least"].get<double>(), 1000);
  EXPECT_EQ(evidence["subjects"][0]["subject"], "office");
  EXPECT_EQ(tracked.evidence()["tracking"]["confidence"], "low") << "192.0.2.1 is one of them";
}

/// Nobody else in the network opens connections.
TEST(MonitorReading, AnOutgoingFloodOutOfASilentPrefixCounts) {
  Node node;
  ASSERT_OK(node.start(1024));
  MonitorSubject dark = net();
  dark.kind = TFO_TARGET_VIP;
  ASSERT_OK(node.watch({office(), dark}));
  for (uint32_t i = 0; i < 500; i++) {
    node.leave(Packet::syn("192.0.2.7", host(i)).ports(static_cast<uint16_t>(2000 + i), 443));
  }
  const MonitorReading flood = node.reading("outgoing_syn_flood", "node");
  EXPECT_EQ(flood.count, 500U);
  EXPECT_EQ(flood.evidence()["sources"][0]["address"], "192.0.2.7");
  ASSERT_OK(node.watch({office(), net()}));
  EXPECT_EQ(node.reading("outgoing_syn_flood", "node").count, 500U) << "not twice";
}

TEST(MonitorReading, WhatIsNotWatchedAnyMoreIsNotCounted) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({vip(), office()}));
  node.arrive(unasked(host(1), "192.0.2.10"));
  MonitorSubject moved = vip();
  moved.name = "other";
  moved.prefixes[0] = prefix("192.0.2.200", 32);
  ASSERT_OK(node.watch({moved, office()}));
  node.arrive(unasked(host(1), "192.0.2.10"));
  node.arrive(unasked(host(1), "192.0.2.200"));
  const MonitorReading other = node.reading("vip", "other");
  EXPECT_EQ(node.monitor().counters("web"), nullptr);
  EXPECT_EQ(other.count, 1U) << "the number was web's, whose count is forgotten";
  EXPECT_EQ(node.reading("tracked", "office").count, 1U)
      << "192.0.2.10 is one of its addresses now";
}

TEST(MonitorReading, AsymmetricIsExcess) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({{.name = "transit",
                         .kind = TFO_TARGET_ASYMMETRIC,
                         .prefixes = {prefix("198.51.100.0", 24)}}}));
  node.reading("asymmetric", "transit");
  for (int second = 0; second < 20; second++) {
    node.advance(kSecond);
    node.leave(Packet::syn("198.51.100.1", host(1)), 1000);
    node.arrive(unasked(host(1), "198.51.100.1"), second < 10 ? 1000 : 3000);
    node.reading("asymmetric", "transit");
  }
  const MonitorReading reading = node.reading("asymmetric", "transit");
  EXPECT_EQ(reading.total, 20'000U);
  // Ten seconds of 2,000/s, of which a window of 10 s has seen half.
  EXPECT_NEAR(static_cast<double>(reading.count), 11'000, 1500);
}

/// Reflectors that repeat themselves: a dozen new ones in each epoch of 69 s.
TEST(MonitorReading, SlowSendersAreCountedOverMinutes) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({vip()}));
  uint32_t sender = 0;
  for (int epoch = 0; epoch < 8; epoch++) {
    node.advance(69 * kSecond);
    for (int i = 0; i < 12; i++) node.arrive(unasked(host(sender++), "192.0.2.10"), 6);
    EXPECT_LT(node.reading("vip", "web").sources, 30U);
  }
  const uint64_t sources = node.reading("vip_slow", "web").sources;
  EXPECT_GE(sources, 50U) << "what the rule asks for";
  EXPECT_LE(sources, 100U);
}

}  // namespace
}  // namespace tfo::test::monitor_reading_test
