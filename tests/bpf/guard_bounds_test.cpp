// SPDX-License-Identifier: BSD-2-Clause
// The guard's bounds against those who know how it counts: the same SYN again and again, resets
// that nobody sees, networks that answered once, feigned blindness; and what is left to newcomers.
#include <gtest/gtest.h>

#include "tests/support/guard_egress.h"
#include "tests/support/guard_world.h"
#include "tests/support/outcome.h"

namespace tfo::test {
namespace {

constexpr uint32_t kData = 20;  // bytes in the SYNs
constexpr uint32_t kLimit = 16, kCap = 64;
constexpr uint32_t kClosed = kCap + kCap / 2, kFull = kClosed + kCap / 4;
constexpr uint32_t kIsn = 0x9abcdef0;  // the server's

tfo_guard limits(uint32_t cap = kCap) { return network_limits(kLimit, cap); }

/// A packet in two fragments of IPv4, eight bytes of TCP in the first.
std::vector<Bytes> fragments(const Packet& packet) {
  const Bytes whole = packet.frame();
  Bytes first(whole.begin(), whole.begin() + 34 + 8), second(whole.begin(), whole.begin() + 34);
  second.insert(second.end(), whole.begin() + 34 + 8, whole.end());
  first[17] = static_cast<uint8_t>(first.size() - 14);
  first[20] = 0x20;
  second[17] = static_cast<uint8_t>(second.size() - 14);
  second[21] = 1;
  return {first, second};
}

// --- the same SYN again

struct Form {
  const char* name;
  const char* client;
  bool exact;
};

class GuardRepeats : public testing::TestWithParam<Form> {
 protected:
  void SetUp() override {
    tfo_guard guard = limits();
    if (GetParam().exact) guard.flags |= TFO_GUARD_EXACT;
    auto world = GuardWorld::make(guard, 4096);
    ASSERT_OK(world);
    world_.emplace(std::move(*world));
    auto egress = load_egress(world_->xdp());
    ASSERT_OK(egress);
    egress_.emplace(std::move(*egress));
  }
  /// The SYN; if it went through, the server's answer.
  bool opens(const Packet& syn, uint32_t past) {
    const auto answer = world_->send(syn);
    EXPECT_TRUE(answer);
    if (*answer != TFO_GUARD_OK) return false;
    if (GetParam().exact) {
      EXPECT_TRUE(leave(*egress_, syn_ack(syn, kIsn, past)));
    }
    return true;
  }
  Result<tfo_guard_answer> client_says(const Packet& syn, uint8_t flags, uint32_t past) {
    return world_->send(GuardWorld::segment(syn, flags, past, kIsn + 1));
  }
  std::optional<GuardWorld> world_;
  std::optional<EgressSkeleton> egress_;
};

TEST_P(GuardRepeats, OneTupleResetAgainAndAgainIsHeldToTheLimit) {
  const Packet syn = GuardWorld::syn(GetParam().client, 0);
  unsigned opened = 0;
  for (int i = 0; i < 100; i++) {
    opened += opens(syn, 0) ? 1 : 0;
    ASSERT_OK(client_says(syn, kRst, 0));
  }
  EXPECT_EQ(opened, kLimit);
  EXPECT_EQ(load(*world_), kLimit);
}

TEST_P(GuardRepeats, WithDataTheSecondIsACopyThenItCounts) {
  const Packet syn = GuardWorld::syn(GetParam().client);
  unsigned opened = 0;
  for (int i = 0; i < 100; i++) {
    opened += opens(syn, kData) ? 1 : 0;
    ASSERT_OK(client_says(syn, kRst, kData));
    if (i == 50) world_->advance(61 * kSecond);
  }
  EXPECT_EQ(opened, 2U) << "once in a window";
}

TEST_P(GuardRepeats, AResetThatNobodySawChangesNothing) {
  if (std::string(GetParam().client).find(':') != std::string::npos) return;
  const Packet syn = GuardWorld::syn(GetParam().client, 0);
  unsigned opened = 0;
  for (int i = 0; i < 100; i++) {
    opened += opens(syn, 0) ? 1 : 0;
    for (const Bytes& part : fragments(GuardWorld::segment(syn, kRst, 0))) {
      ASSERT_OK(world_->pour(part));
    }
  }
  EXPECT_EQ(world_->counters()->outcome[TFO_OUTCOME_RESET], 0U);
  EXPECT_EQ(opened, kLimit);
}

TEST_P(GuardRepeats, AnsweredTuplesOpenAnewLikeOthers) {
  std::vector<Packet> syns;
  for (unsigned i = 0; i < 100; i++) {
    syns.push_back(from_port(GuardWorld::syn(GetParam().client, 0), 2000 + i));
    EXPECT_TRUE(opens(syns.back(), 0)) << i;
    ASSERT_OK(client_says(syns.back(), kAck, 0));
  }
  EXPECT_EQ(load(*world_), 0U);
  unsigned opened = 0;
  for (unsigned i = 0; i < 100; i++) {
    Packet again = syns[i];
    if (i % 2 == 0) again.data(kData);
    opened += opens(again, 0) ? 1 : 0;
  }
  EXPECT_EQ(opened, kLimit);
}

TEST_P(GuardRepeats, AnAnswerSettlesOne) {
  const Packet syn = GuardWorld::syn(GetParam().client, 0);
  for (int i = 0; i < 2; i++) EXPECT_TRUE(opens(syn, 0));
  ASSERT_OK(client_says(syn, kAck, 0));
  EXPECT_EQ(world_->counters()->outcome[TFO_OUTCOME_OPENED], 1U);
  EXPECT_EQ(load(*world_), 1U) << "the other place may be taken until it times out";
}

INSTANTIATE_TEST_SUITE_P(Forms, GuardRepeats,
                         testing::Values(Form{"OneWay", "10.0.0.1", false},
                                         Form{"Exact", "10.0.0.1", true},
                                         Form{"OneWayV6", "2001:db8:7::1", false},
                                         Form{"ExactV6", "2001:db8:7::1", true}),
                         [](const auto& one) { return one.param.name; });

TEST(GuardResets, AServerThatRefusedTheDataTakesAResetAtIt) {
  tfo_guard guard = limits();
  guard.flags |= TFO_GUARD_EXACT;
  auto world = GuardWorld::make(guard);
  ASSERT_OK(world);
  auto egress = load_egress(world->xdp());
  ASSERT_OK(egress);
  const auto resets = [&] { return world->counters()->outcome[TFO_OUTCOME_RESET]; };
  const Packet taken = GuardWorld::syn("10.0.0.1"), refused = GuardWorld::syn("10.0.0.2");
  ASSERT_OK(world->send(taken));
  ASSERT_OK(leave(*egress, syn_ack(taken, kIsn, kData)));
  ASSERT_OK(world->send(GuardWorld::segment(taken, kRst, 0)));
  EXPECT_EQ(resets(), 0U) << "below the server's window";
  ASSERT_OK(world->send(refused));
  ASSERT_OK(leave(*egress, syn_ack(refused, kIsn, 0)));
  ASSERT_OK(world->send(GuardWorld::segment(refused, kRst, kData)));
  EXPECT_EQ(resets(), 0U);
  ASSERT_OK(world->send(GuardWorld::segment(refused, kRst, 0)));
  EXPECT_EQ(resets(), 1U);
}

TEST(GuardResets, ThoseThatAServerIgnoresDoNotHalveTheTime) {
  auto world = GuardWorld::make(limits());
  ASSERT_OK(world);
  unsigned opened = 0;
  for (unsigned round = 0; round < 2; round++) {
    for (unsigned i = 0; i < 20; i++) {
      const Packet syn = from_port(GuardWorld::syn(client4(0, i)), 4000 + round);
      opened += *world->send(syn) == TFO_GUARD_OK ? 1 : 0;
      ASSERT_OK(world->send(GuardWorld::segment(syn, kRst, 0)));
    }
    world->advance(70 * kSecond);
  }
  EXPECT_EQ(opened, kLimit);
}

// --- the last bound

/// Networks that have answered once, in a world of this cap.
Result<GuardWorld> answered(unsigned networks, const tfo_guard& guard) {
  auto world = GuardWorld::make(guard, 65536);
  for (unsigned i = 0; world && i < networks; i++) {
    const Packet syn = GuardWorld::syn(client4(i, 1));
    auto done = world->pour(syn.frame());
    if (done) done = world->pour(GuardWorld::segment(syn, kAck, kData).frame());
    if (!done) return tl::unexpected(done.error());
  }
  return world;
}

TEST(GuardLastBound, HoldsThoseWhoAnsweredOnce) {
  auto world = answered(300, limits());
  ASSERT_OK(world);
  for (unsigned round = 0; round < 2; round++) {
    for (unsigned i = 0; i < 300; i++) {
      ASSERT_OK(world->pour(from_port(GuardWorld::syn(client4(i, 1)), 2000 + round).frame()));
    }
  }
  EXPECT_EQ(load(*world), kFull);
}

TEST(GuardLastBound, HoldsWhoIsAllowedTo) {
  auto world = GuardWorld::make(limits(), 4096);
  ASSERT_OK(world);
  ASSERT_OK(world->list("10.0.0.0", 24, TFO_LIST_ALLOW, UINT64_MAX));
  for (unsigned i = 0; i < 300; i++) {
    ASSERT_OK(world->pour(from_port(GuardWorld::syn("10.0.0.1"), 2000 + i).frame()));
  }
  EXPECT_EQ(load(*world), kFull);
}

// --- newcomers

/// A VIP that is closed to strangers, its shared demotions used up.
Result<GuardWorld> closed(const tfo_guard& guard) {
  auto world = GuardWorld::make(guard, 4096);
  if (!world) return world;
  tfo_policy policy{};
  policy.unproven_rate = 1000;  // of which those of their own have a ration
  policy.unproven_ns = static_cast<__u32>(kSecond);
  auto done = world->xdp().set_policy(GuardWorld::kSlot, policy);
  for (unsigned i = 0; done && i < kClosed + 40; i++) {
    done = world->pour(GuardWorld::syn(client4(i, 1)).frame());
    for (unsigned again = 0; done && i > kClosed && again < 4; again++) {
      done = world->pour(from_port(GuardWorld::syn(client4(i, 1)), 2000 + again).frame());
    }
  }
  if (!done) return tl::unexpected(done.error());
  return world;
}

Packet request(const std::string& client) {
  const Packet syn = GuardWorld::syn(client, 0);
  return Packet::syn(syn.ip.source, syn.ip.destination).option(fast_open());
}

tfo_action done_with(GuardWorld& world, const Packet& syn) {
  const auto treatment = world.xdp().treat(syn.frame());
  EXPECT_TRUE(treatment) << treatment.error().message;
  return treatment ? static_cast<tfo_action>(treatment->action) : TFO_ACTION_COUNT;
}

TEST(GuardNewcomers, AreDemotedAndNotDroppedThoughOthersUseUpTheRate) {
  auto world = closed(limits());
  ASSERT_OK(world);
  EXPECT_EQ(load(*world), kClosed);
  for (const char* client : {"172.16.1.1", "172.16.2.1", "172.16.3.1", "2001:db8:77::1"}) {
    for (unsigned i = 0; i < 4; i++) {
      EXPECT_EQ(done_with(*world, from_port(GuardWorld::syn(client), 2000 + i)),
                i < TFO_OWN_DEMOTIONS ? TFO_DEMOTE : TFO_DROP)
          << client << ' ' << i;
    }
  }
  EXPECT_EQ(load(*world), kClosed) << "a demoted SYN opens nothing";
}

TEST(GuardNewcomers, ComeInOnceTheirDemotedHandshakeWasAnswered) {
  for (const bool exact : {false, true}) {
    tfo_guard guard = limits();
    if (exact) guard.flags |= TFO_GUARD_EXACT;
    auto world = closed(guard);
    ASSERT_OK(world);
    auto egress = load_egress(world->xdp());
    ASSERT_OK(egress);
    const Packet syn = GuardWorld::syn("172.16.1.1"), silent = GuardWorld::syn("172.16.2.1");
    for (const Packet& one : {syn, silent}) EXPECT_EQ(done_with(*world, one), TFO_DEMOTE);
    if (exact) ASSERT_OK(leave(*egress, syn_ack(syn, kIsn, 0)));
    ASSERT_OK(world->send(GuardWorld::segment(syn, kAck, 0, exact ? kIsn + 2 : 1)));
    EXPECT_EQ(*world->send(from_port(syn, 2000)), exact ? TFO_GUARD_OVER : TFO_GUARD_OK);
    ASSERT_OK(world->send(GuardWorld::segment(from_port(syn, 2000), kAck, kData)));
    ASSERT_OK(world->send(GuardWorld::segment(syn, kAck, 0, kIsn + 1)));
    EXPECT_EQ(*world->send(from_port(syn, 2001)), TFO_GUARD_OK) << exact;
    EXPECT_EQ(*world->send(from_port(silent, 2001)), TFO_GUARD_OVER) << exact;
    const auto counters = world->counters();
    EXPECT_EQ(counters->outcome[TFO_OUTCOME_NOT_ACCEPTED], 0U) << "it was none of the guard's";
  }
}

TEST(GuardNewcomers, ComeInOnceTheirRequestForACookieWasAnswered) {
  for (const bool exact : {false, true}) {
    tfo_guard guard = limits();
    if (exact) guard.flags |= TFO_GUARD_EXACT;
    auto world = closed(guard);
    ASSERT_OK(world);
    auto egress = load_egress(world->xdp());
    ASSERT_OK(egress);
    for (const std::string client : {"172.16.1.1", "2001:db8:77::1"}) {
      const Packet ask = request(client);
      ASSERT_OK(world->pour(ask.frame()));
      if (exact) ASSERT_OK(leave(*egress, syn_ack(ask, kIsn, 0)));
      ASSERT_OK(world->pour(GuardWorld::segment(ask, kAck, 0, exact ? kIsn + 2 : 1).frame()));
      const auto guessed = world->send(from_port(GuardWorld::syn(client), 2000));
      EXPECT_EQ(*guessed, exact ? TFO_GUARD_OVER : TFO_GUARD_OK) << client;
      ASSERT_OK(world->pour(GuardWorld::segment(ask, kAck, 0, kIsn + 1).frame()));
      const Packet first = from_port(GuardWorld::syn(client), 2000);
      ASSERT_OK(world->pour(GuardWorld::segment(first, kAck, kData).frame()));
      EXPECT_EQ(*world->send(from_port(GuardWorld::syn(client), 2001)), TFO_GUARD_OK) << client;
    }
    ASSERT_OK(world->pour(request("172.16.2.1").frame()));
    EXPECT_EQ(*world->send(from_port(GuardWorld::syn("172.16.2.1"), 2000)), TFO_GUARD_OVER);
  }
}

TEST(GuardNewcomers, RequestsLeaveNothingWhileTheVipIsBelowItsCap) {
  auto world = GuardWorld::make(limits());
  ASSERT_OK(world);
  ASSERT_OK(world->pour(request("172.16.1.1").frame()));
  EXPECT_EQ(*world->handshakes(TFO_HANDSHAKE_TRIAL), 0U);
}

// --- blindness

TEST(GuardFeigned, BlindnessLiftsNoCap) {
  auto world = answered(5, limits());
  ASSERT_OK(world);
  unsigned number = 0, honest = 0;
  for (unsigned bucket = 0; bucket < 4; bucket++) {
    for (unsigned i = 0; i < 5; i++, number++) {
      Packet syn = GuardWorld::syn(client4(1000 + number, 1));
      ASSERT_OK(world->pour(syn.frame()));
      ASSERT_OK(world->pour(GuardWorld::segment(syn, kAck, kData).frame()));
    }
    for (unsigned i = 0; i < (bucket == 0 ? 60U : 600U); i++) {
      ASSERT_OK(world->pour(
          from_port(GuardWorld::syn(client4(i % 5, i / 5)), 3000 + 1000 * bucket).frame()));
    }
    world->advance(kBucket);
  }
  EXPECT_NE(world->vip()->blind_epoch, 0U) << "it was brought about";
  EXPECT_LE(load(*world), kClosed);
  for (unsigned i = 0; i < number; i++) {
    const Packet syn = from_port(GuardWorld::syn(client4(1000 + i, 1)), 2000);
    honest += *world->send(syn) == TFO_GUARD_OK ? 1 : 0;
    ASSERT_OK(world->pour(GuardWorld::segment(syn, kAck, kData).frame()));
  }
  EXPECT_EQ(honest, number);
}

TEST(GuardFeigned, WhoIsOverTheLimitHasNoVote) {
  auto world = answered(5, limits(0));
  ASSERT_OK(world);
  for (unsigned bucket = 0; bucket < 4; bucket++) {
    for (unsigned i = 0; i < 5 * (kLimit + 2); i++) {
      ASSERT_OK(world->pour(
          from_port(GuardWorld::syn(client4(i % 5, i / 5)), 3000 + 1000 * bucket).frame()));
    }
    world->advance(kBucket);
  }
  EXPECT_EQ(world->vip()->blind_epoch, 0U);
}

// --- the operator's list

TEST(GuardListed, AnEndedEntryHidesNoShorterOne) {
  for (const bool v6 : {false, true}) {
    auto world = GuardWorld::make(limits());
    ASSERT_OK(world);
    const std::string client = v6 ? "2001:db8:7::7" : "10.0.0.7";
    const auto soon = world->now() + kSecond;
    ASSERT_OK(
        world->list(v6 ? "2001:db8:7::" : "10.0.0.0", v6 ? 48 : 24, TFO_LIST_DENY, UINT64_MAX));
    ASSERT_OK(world->list(client, v6 ? 128 : 32, TFO_LIST_ALLOW, soon));
    ASSERT_OK(world->list(v6 ? "2001:db8:7::" : "10.0.0.0", v6 ? 64 : 28, TFO_LIST_ALLOW, soon));
    EXPECT_EQ(*world->send(GuardWorld::syn(client)), TFO_GUARD_OK);
    world->advance(2 * kSecond);
    EXPECT_EQ(*world->send(from_port(GuardWorld::syn(client), 2000)), TFO_GUARD_DENIED);
  }
}

}  // namespace
}  // namespace tfo::test
