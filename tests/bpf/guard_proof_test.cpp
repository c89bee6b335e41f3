// SPDX-License-Identifier: BSD-2-Clause
// What proves a network and what ends that, through the loaded program; what is put on trial, how
// much of it, and what it must not drive out; and that observing says what enforcing would do.
#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>

#include "tests/support/guard_world.h"
#include "tests/support/outcome.h"

namespace tfo::test::guard_proof_test {
namespace {

constexpr uint32_t kData = 20;  // bytes in the SYNs
constexpr uint32_t kLimit = 16, kCap = 64;
constexpr uint32_t kClosed = kCap + kCap / 2, kFull = kClosed + kCap / 4;
constexpr uint64_t kGone = 150 * kSecond;  // so long after it nothing is pending any more

tfo_guard limits() { return network_limits(kLimit, kCap); }

Packet request(const std::string& client) {
  const Packet syn = GuardWorld::syn(client, 0);
  return Packet::syn(syn.ip.source, syn.ip.destination).option(fast_open());
}

/// `count` handshakes of the client from this port on, each answered by these flags if there are
/// any. How many were opened.
unsigned open(GuardWorld& world, const std::string& client, unsigned port, unsigned count,
              uint8_t flags) {
  unsigned opened = 0;
  for (unsigned i = 0; i < count; i++) {
    const Packet syn = from_port(GuardWorld::syn(client), port + i);
    opened += *world.send(syn) == TFO_GUARD_OK ? 1 : 0;
    if (flags != 0) EXPECT_TRUE(world.send(GuardWorld::segment(syn, flags, kData)));
  }
  return opened;
}

/// Strangers until the VIP is closed to them.
void close(GuardWorld& world) {
  for (unsigned i = 0; load(world) < kClosed; i++) {
    ASSERT_LT(i, 2 * kClosed);
    ASSERT_OK(world.pour(GuardWorld::syn(client4(5000 + i, 1)).frame()));
  }
}

// --- proof ends with silence

class GuardProof : public testing::TestWithParam<uint8_t> {
 protected:
  static Result<> silence(GuardWorld& world, const Packet& syn) {
    if (GetParam() == 0) return {};
    return world.pour(GuardWorld::segment(syn, GetParam(), kData).frame());
  }
};

TEST_P(GuardProof, ManyNetworksThatAnsweredOnceFillTheLastPlacesOnce) {
  constexpr unsigned kNetworks = kFull;
  auto world = GuardWorld::make(limits(), 16384);
  ASSERT_OK(world);
  for (unsigned i = 0; i < kNetworks; i++) {
    EXPECT_EQ(open(*world, client4(i, 1), 1000, 1, kAck), 1U);
  }
  for (unsigned round = 0; round < 3; round++) {
    for (unsigned i = 0; i < kNetworks; i++) {
      const Packet syn = from_port(GuardWorld::syn(client4(i, 1)), 2000 + round);
      ASSERT_OK(world->pour(syn.frame()));
      ASSERT_OK(silence(*world, syn));
    }
    EXPECT_EQ(load(*world), round == 0 ? kFull : kClosed) << round;
    world->advance(kGone);
  }
}

INSTANTIATE_TEST_SUITE_P(Silence, GuardProof, testing::Values(uint8_t{0}, uint8_t{kRst}),
                         [](const auto& one) { return one.param == 0 ? "Nothing" : "Resets"; });

TEST(GuardProofs, AReallyLargeNetworkKeepsItsThoughSomeAreSilent) {
  auto world = GuardWorld::make(limits(), 16384);
  ASSERT_OK(world);
  for (unsigned bucket = 0; bucket < 3; bucket++) {
    EXPECT_EQ(open(*world, client4(0, 1), 1000 + 100 * bucket, 38, kAck), 38U);
    EXPECT_EQ(open(*world, client4(0, 2), 1000 + 100 * bucket, 2, 0), 2U);
    world->advance(kBucket);
  }
  world->advance(kGone);
  close(*world);
  EXPECT_EQ(open(*world, client4(0, 1), 3000, 1, 0), 1U);
}

/// What the head of the one network that is over its limit says of its proof.
uint32_t proof_of_guarded(const GuardWorld& world) {
  const auto loads = world.loads();
  EXPECT_TRUE(loads);
  for (const GuardWorld::Load& one : *loads) {
    if ((one.head.epoch & TFO_HEAD_GUARDED) == 0) continue;
    return one.head.epoch & (TFO_HEAD_PROVEN | TFO_HEAD_LAPSED);
  }
  ADD_FAILURE() << "none is over its limit";
  return 0;
}

TEST(GuardProofs, OneWhoIsOverItsLimitLosesItAndHasItAgainByItsDemotedHandshake) {
  auto world = GuardWorld::make(limits(), 16384);
  ASSERT_OK(world);
  EXPECT_EQ(open(*world, client4(0, 1), 1000, 1, kAck), 1U);
  EXPECT_EQ(open(*world, client4(0, 1), 2000, 6, 0), 6U);
  world->advance(8 * kBucket);
  EXPECT_EQ(open(*world, client4(0, 1), 3000, kLimit, 0), kLimit - 6);
  EXPECT_EQ(open(*world, client4(1, 1), 1000, 1, kAck), 1U) << "so that nobody is blind";
  EXPECT_EQ(proof_of_guarded(*world), uint32_t{TFO_HEAD_PROVEN});
  world->advance(9 * kBucket);
  const Packet syn = from_port(GuardWorld::syn(client4(0, 1)), 4000);
  EXPECT_EQ(*world->send(syn), TFO_GUARD_OVER);
  EXPECT_EQ(proof_of_guarded(*world), uint32_t{TFO_HEAD_LAPSED});
  ASSERT_OK(world->send(GuardWorld::segment(syn, kAck, 0)));
  EXPECT_EQ(proof_of_guarded(*world), uint32_t{TFO_HEAD_PROVEN | TFO_HEAD_LAPSED});
}

// --- trials

/// A world with `settled` answered handshakes, and its VIP at its cap.
Result<GuardWorld> at_cap(unsigned settled) {
  auto world = GuardWorld::make(limits(), 4096);
  if (!world) return world;
  EXPECT_EQ(open(*world, "10.200.0.1", 2000, settled, kAck), settled);
  for (unsigned i = 0; i < kCap; i++) {
    auto done = world->pour(GuardWorld::syn(client4(i, 1)).frame());
    if (!done) return tl::unexpected(done.error());
  }
  return world;
}

Result<unsigned> hints(const GuardWorld& world) {
  unsigned count = 0;
  for (uint32_t i = 0; i < (world.xdp().control().handshake_mask + 1) / 64; i++) {
    uint64_t bits = 0;
    if (bpf_map_lookup_elem(world.xdp().map_fd("handshake_bits"), &i, &bits) != 0) {
      return fail_errno("handshake_bits");
    }
    count += static_cast<unsigned>(std::popcount(bits));
  }
  return count;
}

TEST(GuardTrials, AFloodOfRequestsDrivesOutNothingAndMarksLittle) {
  constexpr unsigned kSettled = 500;
  auto world = at_cap(kSettled);
  ASSERT_OK(world);
  const size_t settled = *world->handshakes(TFO_HANDSHAKE_SETTLED);
  const size_t pending = *world->handshakes(TFO_HANDSHAKE_PENDING);
  Packet ask = request("172.16.0.1");
  for (unsigned i = 0; i < 10'000; i++) {
    if (i % 1000 == 0) world->advance(kSecond);
    ask.ip.source =
        Address::of("172.16." + std::to_string(i / 250) + "." + std::to_string(i % 250));
    ASSERT_OK(world->pour(ask.frame()));
  }
  EXPECT_EQ(*world->handshakes(TFO_HANDSHAKE_SETTLED), settled);
  EXPECT_EQ(*world->handshakes(TFO_HANDSHAKE_PENDING), pending);
  const size_t trials = *world->handshakes(TFO_HANDSHAKE_TRIAL);
  EXPECT_GT(trials, 10U) << "some every second";
  EXPECT_LT(trials, 60U);
  EXPECT_LT(*hints(*world), pending + 60);
  unsigned copies = 0;
  for (unsigned i = 0; i < kSettled; i += 5) {
    const Packet syn = from_port(GuardWorld::syn("10.200.0.1"), 2000 + i);
    copies += *world->send(syn) == TFO_GUARD_DUPLICATE ? 1 : 0;
  }
  EXPECT_GT(copies, kSettled / 5 * 85 / 100) << "but for those that honest ones drove out";
}

TEST(GuardTrials, OfDemotedSynsDriveOutNothingEither) {
  auto world = at_cap(0);
  ASSERT_OK(world);
  close(*world);
  EXPECT_EQ(open(*world, "10.0.0.1", 3000, 1, kAck), 0U) << "answered all the same: proven";
  const size_t pending = *world->handshakes(TFO_HANDSHAKE_PENDING);
  for (unsigned i = 0; i < 8000; i++) {
    Packet syn = GuardWorld::syn(client4(8000 + i, 1));
    ASSERT_OK(world->pour(syn.frame()));
  }
  EXPECT_GT(*world->handshakes(TFO_HANDSHAKE_TRIAL), 50U);
  EXPECT_EQ(*world->handshakes(TFO_HANDSHAKE_PENDING), pending);
}

TEST(GuardTrials, ACopyOfADemotedSynNeverPassesWithItsData) {
  for (const bool answered : {true, false}) {
    auto world = GuardWorld::make(limits());
    ASSERT_OK(world);
    EXPECT_EQ(open(*world, "10.0.0.1", 2000, kLimit, 0), kLimit);
    const Packet syn = from_port(GuardWorld::syn("10.0.0.1"), 3000);
    EXPECT_EQ(*world->send(syn), TFO_GUARD_OVER);
    for (unsigned i = 0; i < kLimit; i++) {
      const Packet one = from_port(GuardWorld::syn("10.0.0.1"), 2000 + i);
      ASSERT_OK(world->send(GuardWorld::segment(one, kAck, kData)));
    }
    if (answered) ASSERT_OK(world->send(GuardWorld::segment(syn, kAck, 0)));
    world->advance(kSecond);
    EXPECT_EQ(*world->send(syn), TFO_GUARD_DUPLICATE) << answered;
    Packet next = syn;
    next.tcp.sequence++;
    EXPECT_EQ(*world->send(next), TFO_GUARD_OK) << "another connection";
    world->advance(61 * kSecond);
    EXPECT_EQ(*world->send(syn), TFO_GUARD_OK) << "out of the window";
  }
}

tfo_policy one_a_second() {
  tfo_policy policy{};
  policy.unproven_rate = 1;
  policy.unproven_ns = kSecond;
  return policy;
}

TEST(GuardTrials, CopiesOfADemotedSynAreRationedLikeIt) {
  auto world = GuardWorld::make(limits());
  ASSERT_OK(world);
  ASSERT_OK(world->xdp().set_policy(GuardWorld::kSlot, one_a_second()));
  EXPECT_EQ(open(*world, "10.0.0.1", 2000, kLimit, 0), kLimit);
  const Packet syn = from_port(GuardWorld::syn("10.0.0.1"), 3000);
  unsigned demoted = 0;
  for (unsigned i = 0; i < 50; i++) {
    const auto treatment = world->xdp().treat(syn.frame());
    ASSERT_OK(treatment);
    demoted += treatment->action == TFO_DEMOTE ? 1 : 0;
  }
  EXPECT_EQ(demoted, 2U) << "its own and one of all, in this second";
}

// --- observe

using Done = std::array<unsigned, TFO_ACTION_COUNT>;

/// What would be done with SYNs of one network over its limit, five in each of four buckets.
Result<Done> would(tfo_vip_mode mode) {
  auto world = GuardWorld::make(limits(), 1024, mode);
  if (!world) return tl::unexpected(world.error());
  auto done = world->xdp().set_policy(GuardWorld::kSlot, one_a_second());
  if (!done) return tl::unexpected(done.error());
  EXPECT_EQ(open(*world, "10.0.0.1", 2000, kLimit, 0), kLimit);
  Done all{};
  for (unsigned i = 0; i < 20; i++) {
    const auto treatment =
        world->xdp().treat(from_port(GuardWorld::syn("10.0.0.1"), 3000 + i).frame());
    if (!treatment) return tl::unexpected(treatment.error());
    all[treatment->would]++;
    if (i % 5 == 4) world->advance(kBucket);
  }
  EXPECT_EQ(*world->handshakes(TFO_HANDSHAKE_TRIAL) == 0, mode == TFO_OBSERVE);
  return all;
}

TEST(GuardObserve, SaysWhatEnforcingDoes) {
  const auto enforced = would(TFO_ENFORCE), observed = would(TFO_OBSERVE);
  ASSERT_OK(enforced);
  ASSERT_OK(observed);
  EXPECT_EQ(*observed, *enforced);
  EXPECT_GT((*enforced)[TFO_DEMOTE], 4U);
  EXPECT_GT((*enforced)[TFO_DROP], 4U);
}

}  // namespace
}  // namespace tfo::test::guard_proof_test
