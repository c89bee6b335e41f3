// SPDX-License-Identifier: BSD-2-Clause
// What is monitored, what proves that tracking works, and the excess of a prefix.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "loader/monitor/proof.h"
#include "loader/monitor/subjects.h"
#include "tests/support/outcome.h"

namespace tfo {
namespace {

using std::chrono::seconds;

MonitorPrefix prefix(const std::string& text) {
  const auto slash = text.find('/');
  MonitorPrefix out;
  const std::string address = text.substr(0, slash);
  const bool ipv6 = address.find(':') != std::string::npos;
  if (!ipv6) out.address[10] = out.address[11] = 0xff;
  inet_pton(ipv6 ? AF_INET6 : AF_INET, address.c_str(), out.address.data() + (ipv6 ? 0 : 12));
  out.length = static_cast<unsigned>(std::stoi(text.substr(slash + 1))) + (ipv6 ? 0 : 96);
  return out;
}

MonitorSubject subject(const std::string& name, tfo_target_kind kind,
                       const std::vector<std::string>& prefixes, bool each = false) {
  MonitorSubject out{.name = name, .kind = kind, .each_address = each};
  for (const std::string& one : prefixes) out.prefixes.push_back(prefix(one));
  return out;
}

TEST(MonitorPlan, AVipInADeclaredPrefixBelongsToBoth) {
  const auto plan =
      plan_monitor({subject("web", TFO_TARGET_VIP, {"192.0.2.10/32", "2001:db8::10/128"}),
                    subject("office", TFO_TARGET_TRACKED, {"198.51.100.7/32"}),
                    subject("small", TFO_TARGET_TRACKED, {"203.0.113.0/28"}, true),
                    subject("net", TFO_TARGET_TRACKED, {"192.0.2.0/23"}, true),
                    subject("net6", TFO_TARGET_TRACKED, {"2001:db8::/32"}, true)},
                   64);
  ASSERT_OK(plan);
  EXPECT_EQ(plan->numbers, (std::map<std::string, uint16_t>{{"web", 1},
                                                            {"web\n2001:db8::10", 6},
                                                            {"office", 2},
                                                            {"small", 3},
                                                            {"net", 4},
                                                            {"net6", 5}}))
      << "one for each prefix that it lies in";
  ASSERT_EQ(plan->targets.size(), 6U);
  const tfo_target& web = plan->targets[0].value;
  EXPECT_EQ(web.subject, 1);
  EXPECT_EQ(web.around, 4);
  EXPECT_EQ(web.around_length, 96 + 23);
  EXPECT_EQ(web.first, 256U) << "the prefix before has a net of its own, small as it is";
  EXPECT_EQ(plan->targets[1].value.subject, 6);
  EXPECT_EQ(plan->targets[1].value.around, 5);
  EXPECT_EQ(plan->targets[2].value.around, TFO_NO_SUBJECT);
  EXPECT_EQ(plan->targets[4].value.around, 4);
  EXPECT_EQ(plan->cells.at("net").nets, 2U);
  EXPECT_EQ(plan->cells.at("net6").nets, 0U);
  EXPECT_EQ(plan->places.at("web"), (std::vector<MonitorPlace>{{1, "net"}, {6, "net6"}}));
  EXPECT_EQ(plan->places.at("net"), (std::vector<MonitorPlace>{{4, ""}}));
}

/// Those that have more /64s than counters share them evenly.
TEST(MonitorPlan, IPv6PrefixesHaveCountersForTheirSubnets) {
  const auto plan = plan_monitor({subject("web", TFO_TARGET_VIP, {"2001:db8:9::10/128"}),
                                  subject("net", TFO_TARGET_TRACKED, {"192.0.2.0/24"}, true),
                                  subject("wide", TFO_TARGET_TRACKED, {"2001:db8:9::/48"}, true),
                                  subject("lan", TFO_TARGET_TRACKED, {"2001:db8:1:2::/64"}, true),
                                  subject("site", TFO_TARGET_TRACKED, {"2001:db8:3::/56"}, true)},
                                 64);
  ASSERT_OK(plan);
  const uint32_t each = TFO_SUBNETS / 4;  // a third, as a power of two
  EXPECT_EQ(plan->cells.at("wide"), (MonitorCells{.first_subnet = 0, .subnet_bits = 14}));
  EXPECT_EQ(plan->cells.at("lan"), (MonitorCells{.first_subnet = each, .subnet_bits = 0}));
  EXPECT_EQ(plan->cells.at("site"), (MonitorCells{.first_subnet = each + 1, .subnet_bits = 8}));
  EXPECT_EQ(plan->targets[0].value.first, 14U << TFO_SUBNET_SHIFT) << "as what it lies in";
  EXPECT_EQ(plan->targets[4].value.first, (each + 1) | 8U << TFO_SUBNET_SHIFT);
}

/// Every SYN-ACK of an asymmetric network counts, honest ones too.
TEST(MonitorPlan, AnAsymmetricNetworkIsNoPartOfOneThatIsTracked) {
  const auto plan =
      plan_monitor({subject("campus", TFO_TARGET_TRACKED, {"192.0.2.0/24"}, true),
                    subject("multihomed", TFO_TARGET_ASYMMETRIC, {"192.0.2.128/25"}),
                    subject("transit", TFO_TARGET_ASYMMETRIC, {"198.51.100.0/24"}, true),
                    subject("office", TFO_TARGET_TRACKED, {"198.51.100.7/32"}),
                    subject("other", TFO_TARGET_ASYMMETRIC, {"198.51.100.64/26"})},
                   64);
  ASSERT_OK(plan);
  EXPECT_EQ(plan->places.at("other"), (std::vector<MonitorPlace>{{5, "transit"}}));
  EXPECT_EQ(plan->places.at("office"), (std::vector<MonitorPlace>{{4, ""}}));
  EXPECT_EQ(plan->places.at("multihomed"), (std::vector<MonitorPlace>{{2, ""}}));
  EXPECT_EQ(plan->targets[1].value.around, TFO_NO_SUBJECT);
}

TEST(MonitorSubjects, RulesAndBackground) {
  const auto net = subject("net", TFO_TARGET_TRACKED, {"10.0.0.0/16"}, true);
  EXPECT_EQ(monitor_rules(net), (std::vector<std::string_view>{"carpet", "tracked"}));
  EXPECT_NEAR(usual_background(net), 2621, 1);
  EXPECT_EQ(alarm_bits(net), ~uint64_t{0});
  const auto web = subject("web", TFO_TARGET_VIP, {"192.0.2.10/32", "2001:db8::4f/128"});
  EXPECT_EQ(monitor_rules(web), (std::vector<std::string_view>{"vip", "vip_slow"}));
  EXPECT_NEAR(usual_background(web), 0.04, 1e-9);
  EXPECT_EQ(alarm_bits(web), (uint64_t{1} << 10) | (uint64_t{1} << 15));
}

TEST(MonitorPlan, NumbersStay) {
  const auto first = plan_monitor({subject("a", TFO_TARGET_VIP, {"192.0.2.1/32"}),
                                   subject("b", TFO_TARGET_VIP, {"192.0.2.2/32"})},
                                  4);
  ASSERT_OK(first);
  const auto second = plan_monitor({subject("c", TFO_TARGET_VIP, {"192.0.2.3/32"}),
                                    subject("b", TFO_TARGET_VIP, {"192.0.2.2/32"})},
                                   4, first->numbers);
  ASSERT_OK(second);
  EXPECT_EQ(second->numbers.at("b"), 2);
  EXPECT_EQ(second->numbers.at("c"), 1);
}

TEST(MonitorPlan, SaysWhatIsWrong) {
  const auto said = [](const std::vector<MonitorSubject>& subjects, uint32_t most = 64) {
    const auto plan = plan_monitor(subjects, most);
    return plan ? std::string() : plan.error().message;
  };
  const auto vip = subject("web", TFO_TARGET_VIP, {"192.0.2.1/32"});
  EXPECT_NE(said({vip, vip}).find("web is there twice"), std::string::npos);
  EXPECT_NE(said({vip, subject("b", TFO_TARGET_VIP, {"192.0.2.1/32"})})
                .find("192.0.2.1 belongs to b and to web"),
            std::string::npos);
  EXPECT_NE(
      said({subject("n", TFO_TARGET_TRACKED, {"192.0.2.1/24"}, true)}).find("beyond its length"),
      std::string::npos);
  EXPECT_NE(said({subject("n", TFO_TARGET_TRACKED, {"10.0.0.0/13"}, true)}).find("/14 or longer"),
            std::string::npos);
  EXPECT_NE(said({vip}, 1).find("no room for web"), std::string::npos);
  const auto half = subject("x", TFO_TARGET_TRACKED, {"10.0.0.0/14"}, true);
  EXPECT_EQ(said({half}), "");
  EXPECT_NE(said({half, subject("y", TFO_TARGET_TRACKED, {"192.0.2.0/24"}, true)}).find("y: "),
            std::string::npos);
}

tfo_monitor_counters counters(uint64_t answered, uint64_t blind) {
  tfo_monitor_counters out{};
  out.answered = answered;
  out.blind = blind;
  return out;
}

TEST(MonitorProof, AnswersProveAndBlindnessDisproves) {
  TrackingProof proof(seconds(1000));
  proof.see(seconds(1000), counters(5000, 0));
  EXPECT_FALSE(proof.proven()) << "what was counted before says nothing";
  proof.see(seconds(1100), counters(5019, 0));
  EXPECT_FALSE(proof.proven());
  proof.see(seconds(1101), counters(5020, 0));
  EXPECT_TRUE(proof.proven());
  proof.see(seconds(1102), counters(5098, 1));
  EXPECT_FALSE(proof.proven()) << "1 of 99 is more than 1 %";
  proof.see(seconds(1103), counters(5200, 1));
  EXPECT_TRUE(proof.proven());
  for (int at = 1104; at < 1720; at++) proof.see(seconds(at), counters(5200, 1));
  EXPECT_FALSE(proof.proven()) << "nothing for ten minutes";
  proof.see(seconds(1721), counters(30, 0));
  EXPECT_FALSE(proof.proven()) << "counters that began anew";
}

/// Whoever sleeps is no reason to look.
TEST(MonitorProof, IdleIsNotDoubtful) {
  TrackingProof proof(seconds(0));
  proof.see(seconds(0), counters(0, 0));
  tfo_monitor_counters now = counters(3, 0);
  now.syns_out = 3;
  now.unsolicited[0][0].packets = 20;
  proof.see(seconds(100), now);
  EXPECT_FALSE(proof.proven());
  EXPECT_FALSE(proof.doubtful(0.04));
  tfo_monitor_counters seen = now;
  seen.blind = 1;
  proof.see(seconds(101), seen);
  EXPECT_TRUE(proof.doubtful(0.04)) << "a socket waited";
  now.syns_out = 30;
  proof.see(seconds(102), now);
  EXPECT_TRUE(proof.doubtful(0.04)) << "who answers them?";
  now.answered = 28;
  proof.see(seconds(103), now);
  EXPECT_FALSE(proof.doubtful(0.04));
}

TEST(MonitorProof, SynAcksWithoutAnyAnswerAreDoubtful) {
  TrackingProof proof(seconds(0));
  tfo_monitor_counters now{};
  proof.see(seconds(0), now);
  now.unsolicited[0][1].packets = 100;
  proof.see(seconds(100), now);
  EXPECT_TRUE(proof.doubtful(0.04));
  EXPECT_FALSE(proof.doubtful(10)) << "so many come to a network anyway";
  for (int at = 100; at < 720; at += 5) proof.see(seconds(at), now);
  EXPECT_FALSE(proof.doubtful(0.04)) << "long ago";
}

TEST(MonitorProof, WarmUp) {
  TrackingProof proof(seconds(1000));
  EXPECT_FALSE(proof.warm(seconds(1137), false));
  EXPECT_TRUE(proof.warm(seconds(1138), false));
  EXPECT_TRUE(proof.warm(seconds(1000), true));
  proof.restart(seconds(2000));
  EXPECT_FALSE(proof.warm(seconds(2100), false));
}

/// 20,000/s of attack behind a crawler that sends 10,000 SYNs a second, of which half fail: 5,000
/// of the SYNs hide as many SYN-ACKs.
/// A prefix of which a part has a name: both are counted, and read one after the other.
TEST(MonitorGrowth, NeitherGoesBackNorAddsUpWhatIsReadLate) {
  Growth own;
  for (int i = 0; i < 1000; i++) own.add(i % 2 == 0 ? 7 : -7, 5'000);
  EXPECT_EQ(own.total(), 7U);
  own.add(100, 0);
  EXPECT_EQ(own.total(), 100U);
  own.add(-50'000, 5'000);
  EXPECT_EQ(own.total(), 100U);
  own.add(6'000, 0);
  EXPECT_EQ(own.total(), 1'100U) << "no more than the jitter is owed";
}

TEST(MonitorExcess, IsWhatNoSynExplains) {
  Excess excess;
  uint64_t in = 7, out = 3;
  for (int at = 0; at < 100; at++) excess.see(seconds(at), in += 5000, out += 10'000);
  EXPECT_EQ(excess.total(), 0U);
  for (int at = 100; at < 200; at++) excess.see(seconds(at), in += 25'000, out += 10'000);
  EXPECT_NEAR(static_cast<double>(excess.total()), 100 * 15'000, 100'000);
}

/// Answers come a second after their SYNs, a tenth of them twice.
TEST(MonitorExplained, HonestAnswersAreAllOfThem) {
  Explained explained;
  uint64_t answers = 5000, syns = 7000;
  for (int at = 0; at < 300; at++) {
    syns += 1000;
    explained.see(seconds(at), answers, syns);
    answers += 1100;
  }
  EXPECT_EQ(explained.total(), 299 * 1100U);
}

TEST(MonitorExplained, OneSynExplainsFew) {
  Explained explained;
  explained.see(seconds(0), 0, 0);
  uint64_t answers = 0;
  for (int at = 1; at < 300; at++) explained.see(seconds(at), answers += 6000, at < 5 ? 0 : 1);
  EXPECT_LE(explained.total(), 2U);
  explained.see(seconds(300), 0, 0);
  explained.see(seconds(301), 10, 10);
  EXPECT_LE(explained.total(), 12U) << "counters that began anew";
  EXPECT_GE(explained.total(), 10U);
}

TEST(MonitorExcess, ACaptureWhoseClockGoesBackCountsOn) {
  Excess excess;
  Explained explained;
  for (int at = 100'000; at < 100'020; ++at) {
    excess.see(seconds(at), 25'000U * static_cast<unsigned>(at), 0);
    explained.see(seconds(at), 10U * static_cast<unsigned>(at), 10U * static_cast<unsigned>(at));
  }
  const uint64_t more = excess.total();
  const uint64_t told = explained.total();
  for (int at = 0; at < 20; ++at) {
    excess.see(seconds(at), 25'000U * static_cast<unsigned>(100'020 + at), 0);
    explained.see(seconds(at), 10U * static_cast<unsigned>(100'020 + at),
                  10U * static_cast<unsigned>(100'020 + at));
  }
  EXPECT_NEAR(static_cast<double>(excess.total() - more), 19 * 25'000, 150'000);
  EXPECT_NEAR(static_cast<double>(explained.total() - told), 190, 20);
}

/// An answer comes in the second after its SYN: nothing is left over.
TEST(MonitorExcess, LateAnswersAreNone) {
  Excess excess;
  uint64_t in = 0, out = 0, last = 0;
  for (int at = 0; at < 300; at++) {
    const uint64_t now = at % 7 == 0 ? 5000 : 100;
    excess.see(seconds(at), in += last, out += now);
    last = now;
  }
  EXPECT_LT(static_cast<double>(excess.total()), 0.15 * static_cast<double>(in));
}

}  // namespace
}  // namespace tfo
