// SPDX-License-Identifier: BSD-2-Clause
// What would hide an attack from the monitor: a SYN of the victim, answers that repeat, noise.
#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "loader/monitor/monitor.h"
#include "tests/support/monitor_node.h"
#include "tests/support/outcome.h"

namespace tfo::test::monitor_evasion_test {
namespace {

using Node = MonitorNode;
constexpr uint64_t kSecond = MonitorNode::kSecond;

/// One health check neither hides what closed ports send nor makes the monitor mild for ever.
TEST(MonitorEvasion, OneSynOfAVipDoesNotBlind) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({vip()}));
  Packet reset = unasked(host(1), "192.0.2.10").flags(kRst | kAck);
  reset.tcp.sequence = 0;
  node.leave(Packet::syn("192.0.2.10", host(1)));
  for (int second = 0; second < 30; second++) {
    node.advance(kSecond);
    node.arrive(reset, 100);
    node.reading("vip", "web");
  }
  EXPECT_NEAR(static_cast<double>(node.reading("vip", "web").count), 2'500, 600);
  EXPECT_NE(node.monitor().view().subjects[0].why.find("originates"), std::string::npos);
  node.advance(600 * kSecond);
  node.reading("vip", "web");
  const uint64_t before = node.reading("vip", "web").count;
  node.arrive(reset, 7);
  node.arrive(unasked(host(1), "192.0.2.10"), 3);
  EXPECT_EQ(node.reading("vip", "web").count, before + 10) << "each counts again";
  EXPECT_EQ(node.monitor().view().subjects[0].why, "");
}

/// A server that the office once asked answers 6,000 times a second.
TEST(MonitorEvasion, AnswersToOneSynDiluteNoShare) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({office()}));
  node.leave(Packet::syn("192.0.2.5", host(9)).ports(5000, 443));
  for (int second = 0; second < 10; second++) {
    node.advance(kSecond);
    node.leave(Packet::syn("192.0.2.6", host(10)).ports(6000, 443), 20);
    node.arrive(unasked(host(10), "192.0.2.6", 6000), 20);
    node.arrive(unasked(host(9), "192.0.2.5", 5000), 6000);
    node.arrive(unasked(host(11), "192.0.2.7"), 300);
    node.reading("tracked", "office");
  }
  const MonitorReading reading = node.reading("tracked", "office");
  EXPECT_EQ(reading.count, 3000U);
  EXPECT_GE(reading.total, 3000U + 10 * 20);
  EXPECT_LE(reading.total, 3000U + 2 * 10 * 20 + 2);
}

/// Sixty-four others that see a packet now and then keep nobody from being shown.
TEST(MonitorEvasion, AnAttackAmongNoiseIsShown) {
  Node node;
  ASSERT_OK(node.start(1024, 128));
  std::vector<MonitorSubject> all = {vip()};
  for (int i = 0; i < 70; i++) {
    const std::string address = "198.51.100." + std::to_string(i);
    all.push_back({.name = "noise" + std::to_string(i), .prefixes = {prefix(address, 32)}});
  }
  ASSERT_OK(node.watch(all));
  for (int minute = 0; minute < 5; minute++) {
    for (int i = 0; i < 70; i++) node.arrive(unasked(host(1), "198.51.100." + std::to_string(i)));
    node.arrive(unasked(host(1), "192.0.2.10"), 8);
    node.reading("vip", "web");
    node.advance(60 * kSecond);
  }
  EXPECT_EQ(node.reading("events_lost", "monitor").count, 0U);
  for (int second = 0; second < 3; second++) {
    for (int i = 0; i < 500; i++) node.arrive(unasked(host(0x100000), "192.0.2.10"));
    node.reading("vip", "web");
    node.advance(kSecond);
  }
  const auto evidence = node.reading("vip", "web").evidence();
  ASSERT_TRUE(evidence.contains("top")) << evidence;
  EXPECT_EQ(evidence["top"]["reflectors"][0]["network"], "10.16.0.0/24");
  EXPECT_EQ(evidence["top"]["reflectors"].size(), 1U);
  EXPECT_LE(evidence["volume"]["packets"], 1500U);
  EXPECT_GE(evidence["volume"]["packets"], 1000U);
  EXPECT_LE(evidence["volume"]["seconds"], 5);
}

}  // namespace
}  // namespace tfo::test::monitor_evasion_test
