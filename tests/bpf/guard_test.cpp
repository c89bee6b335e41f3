// SPDX-License-Identifier: BSD-2-Clause
// The guard through the loaded program, the clock moved by hand: handshakes by outcome, loads and
// their limits.
#include <gtest/gtest.h>

#include "tests/support/guard_world.h"
#include "tests/support/outcome.h"

namespace tfo::test::guard_test {
namespace {

constexpr uint32_t kData = 20;  // bytes in the SYNs

tfo_guard limits(uint32_t address, uint32_t network, uint32_t site, uint32_t cap = 0) {
  tfo_guard guard{};
  guard.flags = TFO_GUARD_ON;
  guard.limit[TFO_LEVEL_ADDRESS] = address;
  guard.limit[TFO_LEVEL_NETWORK] = network;
  guard.limit[TFO_LEVEL_SITE] = site;
  guard.limit[TFO_LEVEL_VIP] = cap;
  return guard;
}

tfo_guard network_limit(uint32_t limit) { return limits(0, limit, limit); }

/// Address number `host` of a client network, of one /24 or one /48.
std::string client(bool v6, unsigned network, unsigned host) {
  return v6 ? "2001:db8:" + std::to_string(network + 1) + "::" + std::to_string(host + 1)
            : "10.0." + std::to_string(network) + "." + std::to_string(host);
}

uint32_t pending(const tfo_guard_head& head) { return head.opened - head.gone; }

class Guard : public testing::TestWithParam<bool> {
 protected:
  static std::string host(unsigned network, unsigned host) {
    return client(GetParam(), network, host);
  }
};

struct Answer {
  const char* name;
  uint8_t flags;
  uint32_t past;  // after the SYN
  size_t data;    // in the SYN
  int outcome;    // -1: settles nothing
};

constexpr Answer kAnswers[] = {
    {"data accepted", kAck, kData, kData, TFO_OUTCOME_ACCEPTED},
    {"and more sent", kAck | kPsh, kData + 500, kData, TFO_OUTCOME_ACCEPTED},
    {"closed at once", kAck | kFin, kData, kData, TFO_OUTCOME_ACCEPTED},
    {"at the end of the window", kAck, kData + (1U << 16) - 1, kData, TFO_OUTCOME_ACCEPTED},
    {"beyond it", kAck, kData + (1U << 16), kData, -1},
    {"data not accepted", kAck, 0, kData, TFO_OUTCOME_NOT_ACCEPTED},
    {"half of it", kAck, kData - 1, kData, TFO_OUTCOME_NOT_ACCEPTED},
    {"before the SYN", kAck, 0xffffffffU, kData, -1},
    {"no data", kAck, 0, 0, TFO_OUTCOME_OPENED},
    {"RST before the data's end", kRst, 0, kData, -1},
    {"RST in it", kRst, kData - 1, kData, -1},
    {"RST of one without data", kRst, 0, 0, TFO_OUTCOME_RESET},
    {"RST that had it accepted", kRst, kData, kData, TFO_OUTCOME_RESET},
    {"RST with ACK", kRst | kAck, kData, kData, TFO_OUTCOME_RESET},
    {"RST elsewhere", kRst, kData + 1, kData, -1},
    {"SYN-ACK", kSyn | kAck, 0, kData, -1},
};

TEST_P(Guard, AnAnswerSettlesAHandshake) {
  auto world = GuardWorld::make(network_limit(1000), 65536);
  ASSERT_OK(world);
  unsigned number = 0;
  uint32_t left = 0;
  for (const Answer& answer : kAnswers) {
    const auto before = world->counters();
    ASSERT_OK(before);
    const Packet syn = GuardWorld::syn(host(0, number++), answer.data);
    ASSERT_OK(world->send(syn));
    EXPECT_EQ(pending(world->vip()->head), left + 1) << answer.name;
    world->advance(30 * kTick);
    ASSERT_OK(world->send(GuardWorld::segment(syn, answer.flags, answer.past)));
    left += answer.outcome < 0 ? 1 : 0;
    EXPECT_EQ(pending(world->vip()->head), left) << answer.name;
    const auto after = world->counters();
    ASSERT_OK(after);
    for (int outcome = 0; outcome < TFO_OUTCOME_COUNT; outcome++) {
      EXPECT_EQ(after->outcome[outcome] - before->outcome[outcome],
                outcome == answer.outcome ? 1U : 0U)
          << answer.name << ", outcome " << outcome;
    }
    const bool acked = answer.outcome >= 0 && answer.outcome <= TFO_OUTCOME_OPENED;
    EXPECT_EQ(after->rtt[2] - before->rtt[2], acked ? 1U : 0U) << answer.name << ": 30 ticks";
    EXPECT_EQ(after->rtt_ticks - before->rtt_ticks, acked ? 30U : 0U) << answer.name;
  }
}

TEST_P(Guard, OneAnswerIsEnough) {
  auto world = GuardWorld::make(network_limit(8));
  ASSERT_OK(world);
  const Packet syn = GuardWorld::syn(host(0, 1));
  ASSERT_OK(world->send(syn));
  for (int i = 0; i < 3; i++) ASSERT_OK(world->send(GuardWorld::segment(syn, kAck, kData)));
  ASSERT_OK(world->send(GuardWorld::segment(syn, kRst, kData)));
  EXPECT_EQ(world->counters()->outcome[TFO_OUTCOME_ACCEPTED], 1U);
  EXPECT_EQ(world->counters()->outcome[TFO_OUTCOME_RESET], 0U);
}

TEST_P(Guard, SilentSourcesReachTheirLimitAndNobodyElseDoes) {
  auto world = GuardWorld::make(network_limit(8));
  ASSERT_OK(world);
  for (unsigned i = 0; i < 8; i++) {
    EXPECT_EQ(*world->send(GuardWorld::syn(host(0, i), i % 2 * kData)), TFO_GUARD_OK) << i;
  }
  for (unsigned i = 8; i < 20; i++) {
    EXPECT_EQ(*world->send(GuardWorld::syn(host(0, i))), TFO_GUARD_OVER) << i;
  }
  EXPECT_EQ(pending(world->vip()->head), 8U) << "what is refused opens nothing";
  EXPECT_EQ(*world->send(GuardWorld::syn(host(1, 1))), TFO_GUARD_OK) << "another network";
}

TEST_P(Guard, OnlyHalfTheLimitFreesANetwork) {
  auto world = GuardWorld::make(network_limit(8));
  ASSERT_OK(world);
  for (unsigned i = 0; i < 9; i++) ASSERT_OK(world->send(GuardWorld::syn(host(0, i))));
  for (unsigned i = 0; i < 3; i++) {
    ASSERT_OK(world->send(GuardWorld::segment(GuardWorld::syn(host(0, i)), kAck, kData)));
    EXPECT_EQ(*world->send(GuardWorld::syn(host(0, 50))), TFO_GUARD_OVER) << i;
  }
  ASSERT_OK(world->send(GuardWorld::segment(GuardWorld::syn(host(0, 3)), kAck, kData)));
  EXPECT_EQ(*world->send(GuardWorld::syn(host(0, 50))), TFO_GUARD_OK);
  const auto events = world->events();
  ASSERT_OK(events);
  ASSERT_EQ(events->size(), 2U);
  EXPECT_EQ((*events)[0].kind, TFO_GUARD_ENTERED);
  EXPECT_EQ((*events)[0].load, 8U);
  EXPECT_EQ((*events)[0].slot, GuardWorld::kSlot);
  EXPECT_EQ((*events)[1].kind, TFO_GUARD_LEFT);
  EXPECT_EQ((*events)[1].load, 4U);
  const std::array<uint8_t, 16> v4{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 0};
  const std::array<uint8_t, 16> v6{0x20, 1, 0xd, 0xb8, 0, 1};
  EXPECT_TRUE(std::ranges::equal((*events)[0].prefix, GetParam() ? v6 : v4));
}

TEST_P(Guard, SilenceEndsAfterTwoMinutesAndCountsAsTimeout) {
  auto world = GuardWorld::make(network_limit(8));
  ASSERT_OK(world);
  for (unsigned i = 0; i < 8; i++) ASSERT_OK(world->send(GuardWorld::syn(host(0, i))));
  world->advance(128 * kSecond);
  EXPECT_EQ(*world->send(GuardWorld::syn(host(0, 50))), TFO_GUARD_OVER);
  EXPECT_EQ(world->counters()->outcome[TFO_OUTCOME_TIMEOUT], 0U);
  world->advance(20 * kSecond);
  EXPECT_EQ(*world->send(GuardWorld::syn(host(0, 51))), TFO_GUARD_OK);
  EXPECT_EQ(world->counters()->outcome[TFO_OUTCOME_TIMEOUT], 8U);
  EXPECT_EQ(pending(world->vip()->head), 1U);
  ASSERT_OK(world->send(GuardWorld::segment(GuardWorld::syn(host(0, 1)), kAck, kData)));
  EXPECT_EQ(world->counters()->outcome[TFO_OUTCOME_ACCEPTED], 0U) << "too late";
  EXPECT_EQ(pending(world->vip()->head), 1U);
}

TEST_P(Guard, AResetWeighsForAMinute) {
  auto world = GuardWorld::make(network_limit(8));
  ASSERT_OK(world);
  for (unsigned i = 0; i < 8; i++) {
    const Packet syn = GuardWorld::syn(host(0, i));
    ASSERT_OK(world->send(syn));
    ASSERT_OK(world->send(GuardWorld::segment(syn, kRst, kData)));
  }
  EXPECT_EQ(*world->send(GuardWorld::syn(host(0, 50))), TFO_GUARD_OVER);
  world->advance(60 * kSecond);
  EXPECT_EQ(*world->send(GuardWorld::syn(host(0, 50))), TFO_GUARD_OVER);
  world->advance(15 * kSecond);
  EXPECT_EQ(*world->send(GuardWorld::syn(host(0, 50))), TFO_GUARD_OK);
}

TEST_P(Guard, BucketsAddUpWhateverThePaceOfTheClock) {
  auto world = GuardWorld::make(network_limit(100000));
  ASSERT_OK(world);
  // Open and answer for ten minutes; a third is never answered. Then the rest expires.
  uint64_t opened = 0, answered = 0;
  for (unsigned i = 0; i < 600; i++, opened++) {
    Packet syn = GuardWorld::syn(host(i % 3, i % 200));
    syn.tcp.sequence += i;
    ASSERT_OK(world->pour(syn.frame()));
    world->advance(i % 7 * kSecond / 3);
    if (i % 3 == 0) continue;
    ASSERT_OK(world->pour(GuardWorld::segment(syn, kAck, kData).frame()));
    answered++;
  }
  world->advance(200 * kSecond);
  ASSERT_OK(world->send(GuardWorld::syn(host(0, 1))));
  const auto counters = world->counters();
  EXPECT_EQ(counters->outcome[TFO_OUTCOME_ACCEPTED], answered);
  EXPECT_EQ(counters->outcome[TFO_OUTCOME_TIMEOUT], opened - answered);
  EXPECT_EQ(pending(world->vip()->head), 1U);
}

TEST_P(Guard, ObserveOpensWhatItWouldHaveRefused) {
  auto world = GuardWorld::make(network_limit(4), 1024, TFO_OBSERVE);
  ASSERT_OK(world);
  for (unsigned i = 0; i < 10; i++) {
    EXPECT_EQ(*world->send(GuardWorld::syn(host(0, i))), i < 4 ? TFO_GUARD_OK : TFO_GUARD_OVER);
  }
  EXPECT_EQ(pending(world->vip()->head), 10U);
}

TEST_P(Guard, AnAbuserIsToldFromItsNeighbours) {
  auto world = GuardWorld::make(limits(4, 40, 40));
  ASSERT_OK(world);
  int refused = 0;
  for (unsigned i = 0; i < 20; i++) {
    Packet syn = GuardWorld::syn(host(0, 1));
    syn.ports(static_cast<uint16_t>(2000 + i), 443);
    refused += *world->send(syn) == TFO_GUARD_OVER ? 1 : 0;
  }
  EXPECT_EQ(refused, 20 - 4 - 2) << "the first two were not counted for the address yet";
  EXPECT_EQ(*world->send(GuardWorld::syn(host(0, 2))), TFO_GUARD_OK);
  const auto counters = world->counters();
  EXPECT_EQ(counters->over[TFO_LEVEL_ADDRESS], 14U);
  EXPECT_EQ(counters->over[TFO_LEVEL_NETWORK] + counters->over[TFO_LEVEL_SITE], 0U);
}

TEST_P(Guard, TheCapOfTheVipHoldsManyNetworksEachUnderItsLimit) {
  constexpr uint32_t kCap = 64;
  auto world = GuardWorld::make(limits(0, 16, 16, kCap), 4096);
  ASSERT_OK(world);
  // The heaviest first, as the issue of slots would have it: round after round over 40 networks.
  for (unsigned round = 0; round < 15; round++) {
    for (unsigned network = 0; network < 40; network++) {
      ASSERT_OK(world->send(GuardWorld::syn(host(network, round))));
    }
  }
  EXPECT_GE(pending(world->vip()->head), kCap);
  EXPECT_LE(pending(world->vip()->head), kCap + kCap / 2);
}

TEST_P(Guard, NearlyFullAVipIsForThoseWhoHaveAnsweredBefore) {
  constexpr uint32_t kCap = 40;
  auto world = GuardWorld::make(limits(0, 16, 16, kCap), 4096);
  ASSERT_OK(world);
  const Packet known = GuardWorld::syn(host(199, 1));
  ASSERT_OK(world->send(known));
  ASSERT_OK(world->send(GuardWorld::segment(known, kAck, kData)));
  unsigned opened = 0;
  for (unsigned network = 0; network < 150; network++) {
    opened += *world->send(GuardWorld::syn(host(network, 1))) == TFO_GUARD_OK ? 1 : 0;
  }
  EXPECT_EQ(opened, kCap + kCap / 2) << "each of them has nothing else pending";
  EXPECT_EQ(world->counters()->over[TFO_LEVEL_VIP], 150 - opened);
  EXPECT_EQ(*world->send(GuardWorld::syn(host(199, 2))), TFO_GUARD_OK) << "it has answered before";
}

TEST_P(Guard, TheOpenRateOfANetwork) {
  tfo_guard guard = network_limit(1000);
  guard.opens = 5;
  auto world = GuardWorld::make(guard);
  ASSERT_OK(world);
  for (unsigned i = 0; i < 7; i++) {
    const Packet syn = GuardWorld::syn(host(0, i));
    EXPECT_EQ(*world->send(syn), i < 5 ? TFO_GUARD_OK : TFO_GUARD_OVER) << i;
    ASSERT_OK(world->send(GuardWorld::segment(syn, kAck, kData)));
  }
  world->advance(kBucket);
  EXPECT_EQ(*world->send(GuardWorld::syn(host(0, 9))), TFO_GUARD_OK);
}

TEST_P(Guard, OpensCountWhereAnswersAreNotBelieved) {
  tfo_guard guard = network_limit(6);
  guard.flags |= TFO_GUARD_COUNT_OPENS;
  auto world = GuardWorld::make(guard);
  ASSERT_OK(world);
  for (unsigned i = 0; i < 8; i++) {
    world->advance(kBucket);
    const Packet syn = GuardWorld::syn(host(0, i));
    EXPECT_EQ(*world->send(syn), i < 6 ? TFO_GUARD_OK : TFO_GUARD_OVER) << i;
    ASSERT_OK(world->send(GuardWorld::segment(syn, kAck, kData)));
  }
  world->advance(130 * kSecond);
  EXPECT_EQ(*world->send(GuardWorld::syn(host(0, 9))), TFO_GUARD_OK);
}

TEST_P(Guard, OpensOfAllTogetherFillNoVip) {
  tfo_guard guard = network_limit(6);
  guard.limit[TFO_LEVEL_VIP] = 4;
  guard.flags |= TFO_GUARD_COUNT_OPENS;
  auto world = GuardWorld::make(guard);
  ASSERT_OK(world);
  for (unsigned i = 0; i < 40; i++) {
    const Packet syn = GuardWorld::syn(host(i % 10, i));
    EXPECT_EQ(*world->send(syn), TFO_GUARD_OK) << i;
    ASSERT_OK(world->send(GuardWorld::segment(syn, kAck, kData)));
  }
}

TEST_P(Guard, TheOperatorsWord) {
  auto world = GuardWorld::make(network_limit(2));
  ASSERT_OK(world);
  const bool v6 = GetParam();
  ASSERT_OK(
      world->list(v6 ? "2001:db8:1::" : "10.0.0.0", v6 ? 48 : 24, TFO_LIST_ALLOW, UINT64_MAX));
  ASSERT_OK(world->list(v6 ? "2001:db8:2::" : "10.0.1.0", v6 ? 48 : 24, TFO_LIST_DENY,
                        world->now() + kSecond));
  for (unsigned i = 0; i < 9; i++) {
    EXPECT_EQ(*world->send(GuardWorld::syn(host(0, i))), TFO_GUARD_OK) << i;
  }
  EXPECT_EQ(*world->send(GuardWorld::syn(host(1, 1))), TFO_GUARD_DENIED);
  world->advance(2 * kSecond);
  EXPECT_EQ(*world->send(GuardWorld::syn(host(1, 1))), TFO_GUARD_OK);
}

INSTANTIATE_TEST_SUITE_P(Families, Guard, testing::Bool(),
                         [](const auto& v6) { return v6.param ? "IPv6" : "IPv4"; });

}  // namespace
}  // namespace tfo::test::guard_test
