// SPDX-License-Identifier: BSD-2-Clause
// What has a name of its own within a declared prefix is counted for both, and accused once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "loader/monitor/monitor.h"
#include "tests/support/monitor_node.h"
#include "tests/support/monitor_world.h"
#include "tests/support/outcome.h"

namespace tfo::test::monitor_parts_test {
namespace {

using Node = MonitorNode;
constexpr uint64_t kSecond = MonitorNode::kSecond;
constexpr const char* kWeb4 = "192.0.2.10";
constexpr const char* kWeb6 = "2001:db8:1::7";

MonitorPrefix prefix6(const std::string& address, unsigned length) {
  MonitorPrefix out{.length = length};
  inet_pton(AF_INET6, address.c_str(), out.address.data());
  return out;
}

MonitorSubject declared(const std::string& name, const MonitorPrefix& prefix,
                        tfo_target_kind kind = TFO_TARGET_TRACKED) {
  return {.name = name, .kind = kind, .prefixes = {prefix}, .each_address = true};
}

/// A VIP of both families, each within a declared prefix.
std::vector<MonitorSubject> both_families() {
  return {
      {.name = "web", .kind = TFO_TARGET_VIP, .prefixes = {prefix(kWeb4, 32), prefix6(kWeb6, 128)}},
      declared("net4", prefix("192.0.2.0", 24)),
      declared("net6", prefix6("2001:db8:1::", 48))};
}

void attack(Node& node, const std::string& victim, uint16_t packets) {
  const bool v6 = victim.find(':') != std::string::npos;
  for (uint16_t i = 0; i < packets; i++) {
    node.arrive(unasked(v6 ? "2001:db8:2::" + std::to_string(i) : host(i), victim, 5000));
  }
}

TEST(MonitorParts, EachFamilyIsAPartOfThePrefixThatItLiesIn) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch(both_families()));
  node.reading("vip", "web");
  attack(node, kWeb4, 100);
  EXPECT_EQ(node.reading("vip", "web").part_of, "net4");
  EXPECT_EQ(node.reading("carpet", "net4").count, 100U);
  EXPECT_EQ(node.reading("tracked", "net4").count, 0U) << "all of it came to what has a name";
  EXPECT_EQ(node.reading("carpet", "net6").count, 0U);
  attack(node, kWeb6, 300);
  EXPECT_EQ(node.reading("vip", "web").part_of, "net6") << "that is where it comes to now";
  EXPECT_EQ(node.reading("carpet", "net4").count, 100U);
  EXPECT_EQ(node.reading("carpet", "net6").count, 300U);
  EXPECT_EQ(node.reading("tracked", "net6").count, 0U);
  const MonitorReading web = node.reading("vip", "web");
  EXPECT_EQ(web.count, 400U);
  EXPECT_NEAR(static_cast<double>(web.sources), 400, 20);
}

/// While a carpet lies over the IPv4 addresses, the attack on the IPv6 address is one of its own,
/// and single addresses of the carpet are counted in full.
TEST(MonitorParts, ACarpetOfOneFamilyHidesNoAttackOfTheOther) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch(both_families()));
  node.reading("vip", "web");
  attack(node, kWeb4, 100);
  attack(node, "192.0.2.77", 50);
  attack(node, kWeb6, 300);
  // First of all: it is about what came since the last look.
  const MonitorReading web = node.reading("vip", "web");
  EXPECT_EQ(web.count, 400U);
  EXPECT_EQ(web.part_of, "");
  EXPECT_EQ(node.reading("tracked", "net4").count, 50U);
  EXPECT_EQ(node.reading("carpet", "net4").count, 150U);
}

TEST(MonitorParts, ARestartKnowsBothFamilies) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch(both_families()));
  attack(node, kWeb4, 10);
  attack(node, kWeb6, 30);
  node.reading("vip", "web");
  ASSERT_OK(node.restart(true));
  ASSERT_OK(node.watch(both_families()));
  node.reading("vip", "web");
  attack(node, kWeb6, 5);
  node.reading("vip", "web");
  const tfo_monitor_counters* web = node.monitor().counters("web");
  ASSERT_NE(web, nullptr);
  EXPECT_EQ(unsolicited(*web).packets, 45U) << "none of its numbers was another's";
  EXPECT_EQ(unsolicited(*node.monitor().counters("net6")).packets, 35U);
}

/// A longest-prefix look-up of it would find the network's.
TEST(MonitorParts, WhatIsNamedAfterARestartTakesNoNumberOfANetwork) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({office()}));
  node.arrive(unasked(host(1), "192.0.2.5"), 10);
  ASSERT_OK(node.restart(true));
  MonitorSubject mail = office();
  mail.name = "mail";
  mail.prefixes = {prefix("192.0.2.5", 32)};
  ASSERT_OK(node.watch({mail, office()}));
  node.reading("tracked", "mail");
  EXPECT_EQ(unsolicited(*node.monitor().counters("office")).packets, 10U);
  EXPECT_EQ(unsolicited(*node.monitor().counters("mail")).packets, 0U);
}

/// Its SYNs left unseen until now.
TEST(MonitorParts, WhatComesToASubjectWithARestartMakesItWaitAnew) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({office()}));
  node.advance(160 * kSecond);
  ASSERT_OK(node.restart(true));
  MonitorSubject wider = office();
  wider.prefixes.push_back(prefix("198.51.100.0", 25));
  ASSERT_OK(node.watch({wider}));
  EXPECT_EQ(node.reading("tracked", "office").readiness, MonitorReadiness::kNotWarm);
  node.advance(160 * kSecond);
  ASSERT_OK(node.restart(true));
  ASSERT_OK(node.watch({wider}));
  EXPECT_EQ(node.reading("tracked", "office").readiness, MonitorReadiness::kUnproven);
}

/// The map of who is watched takes no more.
TEST(MonitorParts, AnErrorLeavesWhoWasWatched) {
  Node node;
  ASSERT_OK(node.start());
  const auto all = both_families();
  ASSERT_OK(node.watch(all));
  attack(node, kWeb4, 10);
  EXPECT_EQ(node.reading("vip", "web").count, 10U);
  MonitorSubject crowd = declared("crowd", {});
  crowd.each_address = false;
  crowd.prefixes.clear();
  for (uint32_t i = 0; i <= TFO_TARGETS; i++) crowd.prefixes.push_back(prefix(host(i), 32));
  const auto done = node.watch({crowd, all[1]});
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, testing::HasSubstr("targets"));
  attack(node, kWeb4, 5);
  attack(node, "192.0.2.77", 3);
  EXPECT_EQ(node.reading("vip", "web").count, 15U);
  EXPECT_EQ(node.reading("carpet", "net4").count, 18U);
}

/// Who is watched may change in the first moments of an attack: what came until then is part of it.
TEST(MonitorParts, AChangeAmidAnAttackTakesNothingFromItsVolume) {
  Node node;
  ASSERT_OK(node.start());
  const auto all = both_families();
  ASSERT_OK(node.watch({all[0]}));
  node.reading("vip", "web");
  attack(node, kWeb4, 10);
  ASSERT_OK(node.watch({all[0], declared("elsewhere", prefix("198.51.100.0", 24))}));
  const nlohmann::json evidence = node.reading("vip", "web").evidence();
  EXPECT_EQ(evidence["volume"]["packets"], 10);
  EXPECT_EQ(evidence["top"]["samples"], 10);
}

/// A prefix that is declared around one of its addresses while it is watched.
TEST(MonitorParts, WhatIsDeclaredAroundItLaterIsNoAttack) {
  Node node;
  ASSERT_OK(node.start());
  const auto all = both_families();
  ASSERT_OK(node.watch({all[0]}));
  attack(node, kWeb4, 10);
  attack(node, kWeb6, 30);
  EXPECT_EQ(node.reading("vip", "web").count, 40U);
  ASSERT_OK(node.watch({all[0], all[2]}));
  attack(node, kWeb6, 7);
  EXPECT_EQ(node.reading("carpet", "net6").count, 7U);
  EXPECT_EQ(node.reading("tracked", "net6").count, 0U);
  const uint64_t before = node.reading("vip", "web").count;
  attack(node, kWeb4, 3);
  EXPECT_EQ(node.reading("vip", "web").count, before + 3);
}

/// A VIP that opens connections is judged by what comes beyond their answers: what it was sent
/// since the beginning is no attack, however it is watched from now on.
TEST(MonitorParts, WhatWasJudgedIsNotCountedAnewAfterAChange) {
  Node node;
  ASSERT_OK(node.start());
  const auto all = both_families();
  ASSERT_OK(node.watch({all[0]}));
  for (int second = 0; second < 20; second++) {
    node.advance(kSecond);
    node.leave(Packet::syn(kWeb4, host(1)), 100);
    node.arrive(unasked(host(1), kWeb4), 100);
    node.reading("vip", "web");
  }
  EXPECT_EQ(node.reading("vip", "web").count, 0U) << "health checks";
  ASSERT_OK(node.watch({all[0], all[2]}));
  EXPECT_EQ(node.reading("vip", "web").count, 0U);
  EXPECT_EQ(node.reading("carpet", "net6").count, 0U);
}

/// What is named in a silent prefix may open connections: their answers are no attack, and do not
/// hide one either.
TEST(MonitorParts, AnswersToWhatIsNamedExplainItsSyns) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch(
      {{.name = "proxy", .kind = TFO_TARGET_TRACKED, .prefixes = {prefix("192.0.2.5", 32)}},
       declared("dark", prefix("192.0.2.0", 24), TFO_TARGET_VIP)}));
  node.reading("carpet", "dark");
  for (int second = 0; second < 20; second++) {
    node.advance(kSecond);
    for (uint16_t i = 0; i < 50; i++) {
      const auto port = static_cast<uint16_t>(1024 + second * 50 + i);
      node.leave(Packet::syn("192.0.2.5", host(9)).ports(port, 443));
      node.arrive(unasked(host(9), "192.0.2.5", port));
    }
    attack(node, "192.0.2.66", 30);
    node.reading("carpet", "dark");
  }
  EXPECT_EQ(node.reading("tracked", "proxy").count, 0U);
  // Excess is told over ten seconds.
  EXPECT_NEAR(static_cast<double>(node.reading("carpet", "dark").count), 600, 170);
}

/// A /18 has 164 times the background of one /24, 655 a second at most: an attack of 300/s on one
/// of its networks is told from it, and one on a single address, too.
TEST(MonitorParts, InAWidePrefixTheDenseNetworkIsTold) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({declared("wide", prefix("172.16.0.0", 18), TFO_TARGET_VIP)}));
  const auto address = [](uint32_t i) {
    return "172.16." + std::to_string(i / 256 % 64) + "." + std::to_string(i % 256);
  };
  uint32_t number = 0;
  const auto second = [&](bool attacked) {
    node.advance(kSecond);
    for (int i = 0; i < 160; i++) {  // 0.01/s each
      node.arrive(unasked(host(number), address(number * 7919), static_cast<uint16_t>(number)));
      number++;
    }
    for (uint32_t i = 0; attacked && i < 300; i++) {
      Packet packet = unasked(host(i), address(33 * 256 + i % 100), static_cast<uint16_t>(number));
      if (i % 2 == 0) packet.flags(kRst | kAck).tcp.sequence = 0;  // of a closed port
      node.arrive(packet);
    }
    return node.reading("carpet", "wide");
  };
  for (int i = 0; i < 20; i++) EXPECT_EQ(second(false).count, 0U) << "background";
  MonitorReading told;
  for (int i = 0; i < 20; i++) told = second(true);
  EXPECT_EQ(told.floor, 0);
  EXPECT_NEAR(static_cast<double>(told.count), 20 * 300 - 20 * 10 - 102, 150);
  EXPECT_EQ(node.reading("vip", "wide").count, told.count);
}

/// More than the background of all of it, however thin.
TEST(MonitorParts, InAWidePrefixAThinCarpetIsToldByItsSum) {
  Node node;
  ASSERT_OK(node.start());
  ASSERT_OK(node.watch({declared("wide", prefix("172.16.0.0", 22), TFO_TARGET_VIP)}));
  MonitorReading told;
  uint32_t number = 0;
  for (int second = 0; second < 60; second++) {
    node.advance(kSecond);
    for (int i = 0; i < 48; i++, number++) {  // 12/s to each /24, of which 10.24 are usual
      node.arrive(unasked(host(number), "172.16." + std::to_string(number % 4) + "." +
                                            std::to_string(number / 4 % 256)));
    }
    told = node.reading("carpet", "wide");
  }
  EXPECT_GT(told.count, 30U * 48);
}

}  // namespace
}  // namespace tfo::test::monitor_parts_test
