// SPDX-License-Identifier: BSD-2-Clause
// What may be renewed, to which key: by the rotation's phase, by what servers are known to hold,
// and as packets read it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "loader/dataplane/ring_writer.h"
#include "tests/unit/key_pool_world.h"

namespace tfo::test {
namespace {

/// "current" for a generation by its place, however many there are of it.
std::string place_of(const KeyRing& ring, uint64_t id) {
  const Generation* generation = ring.find(id);
  return generation == nullptr ? "none" : std::string(to_string(generation->place));
}

std::vector<std::string> held_places(const KeyRing& ring) {
  std::vector<std::string> places;
  places.reserve(ring.renewal.held.size());
  for (const uint64_t id : ring.renewal.held) places.push_back(place_of(ring, id));
  return places;
}

void expect_renewal(const KeyRing& ring, const std::string& target,
                    const std::vector<std::string>& held) {
  EXPECT_EQ(place_of(ring, ring.renewal.target), target) << to_string(ring.phase);
  EXPECT_EQ(held_places(ring), held) << to_string(ring.phase);
  EXPECT_EQ(ring.renewal.until, 0);
}

TEST(LocalRenewal, FollowsTheRotation) {
  const Rotation rotation(kPolicy);
  const Moment now = FakeClock().now();
  RotationState state = *rotation.first(now, {});
  expect_renewal(state.ring, "current", {"current"});
  const uint64_t first = state.ring.current()->id;

  state = *rotation.rotate(state, now);
  expect_renewal(state.ring, "current", {"current"});
  EXPECT_EQ(state.ring.renewal.target, first);
  state = *rotation.advance(state, now, true);
  ASSERT_EQ(state.ring.phase, Phase::minting);
  expect_renewal(state.ring, "previous", {"previous"});
  EXPECT_EQ(state.ring.renewal.target, first) << "the one that minted before the swap";
  state = *rotation.advance(state, now, true);
  expect_renewal(state.ring, "previous", {"current", "previous"});

  state = *rotation.rotate(state, now);
  expect_renewal(state.ring, "current", {"current"});
  state = *rotation.advance(state, now, true);
  expect_renewal(state.ring, "previous", {"previous"});
}

TEST(LocalRenewal, FollowsWhatTimeDoes) {
  const Rotation rotation(kPolicy);
  FakeClock clock;
  RotationState state = *rotation.first(clock.now(), {Key::random(), Key::random()});
  std::erase_if(state.ring.generations,
                [](const Generation& g) { return g.place == TFO_PLACE_PREVIOUS; });
  clock.pass(kInterval * 3);
  ASSERT_TRUE(rotation.maintain(state, clock.now()));
  expect_renewal(state.ring, "current", {"current"});
}

TEST(LocalRenewal, IsThereAfterARestart) {
  const Rotation rotation(kPolicy);
  RotationState state = *rotation.first(FakeClock().now(), {Key::random(), Key::random()});
  state.ring.renewal = {};  // not kept in the file
  state = rotation.reopened(state, FakeClock().now());
  expect_renewal(state.ring, "previous", {"current", "previous"});
}

KeyRing six_keys() {
  KeyRing ring;
  for (const tfo_place place : {TFO_PLACE_CURRENT, TFO_PLACE_PREVIOUS, TFO_PLACE_STAGED,
                                TFO_PLACE_RETIRED, TFO_PLACE_RETIRED, TFO_PLACE_REVOKED}) {
    Generation generation;
    generation.id = ring.generations.size() + 11;
    generation.key = Key::random();
    generation.place = place;
    ring.generations.push_back(generation);
  }
  return ring;
}

TEST(KernelRing, RenewsWhatIsNeitherHeldNorRevoked) {
  constexpr int64_t kOffset = 5;
  KeyRing ring = six_keys();
  ring.renewal = {.target = 12, .held = {11, 12}, .until = 3};
  const tfo_ring kernel = *kernel_ring(ring, kOffset);
  EXPECT_EQ(kernel.renew, 0b11100);
  EXPECT_EQ(kernel.target, 1);
  EXPECT_EQ(kernel.renew_until_ns, uint64_t{3'000'000'000 - kOffset});
}

/// Past it the programs neither demote nor drop for a cookie's sake (tfo_is_fresh() of policy.h).
TEST(KernelRing, HoldsHowLongItIsFreshWhateverIsRenewed) {
  constexpr int64_t kOffset = 5;
  KeyRing ring = six_keys();
  EXPECT_EQ(kernel_ring(ring, kOffset)->fresh_until_ns, UINT64_MAX) << "nobody else changes it";
  ring.fresh_until = 3;
  EXPECT_EQ(kernel_ring(ring, kOffset)->fresh_until_ns, uint64_t{3'000'000'000 - kOffset});
  EXPECT_EQ(kernel_ring(ring, kOffset)->renew_until_ns, 0U);
  EXPECT_EQ(kernel_ring(ring, 4'000'000'000)->fresh_until_ns, 0U) << "before this boot";
}

TEST(KernelRing, NeverRenewsTheTargetItself) {
  KeyRing ring = six_keys();
  ring.renewal = {.target = 11, .held = {}, .until = 0};
  const tfo_ring kernel = *kernel_ring(ring, 0);
  EXPECT_EQ(kernel.renew, 0b11110);
  EXPECT_EQ(kernel.target, 0);
  EXPECT_EQ(kernel.renew_until_ns, UINT64_MAX);
}

TEST(KernelRing, RenewsNothingWithoutAGoodTarget) {
  for (const uint64_t target : {uint64_t{0}, uint64_t{99}, uint64_t{16}}) {
    KeyRing ring = six_keys();
    ring.renewal = {.target = target, .held = {11, 12}, .until = 3};
    const tfo_ring kernel = *kernel_ring(ring, 0);
    EXPECT_EQ(kernel.renew, 0) << target;
    EXPECT_EQ(kernel.target, 0) << target;
    EXPECT_EQ(kernel.renew_until_ns, 0U) << target;
  }
}

TEST(KernelRing, RenewsNothingWhereAllIsHeld) {
  KeyRing ring = six_keys();
  ring.renewal = {.target = 12, .held = {11, 12, 13, 14, 15}, .until = 3};
  EXPECT_EQ(kernel_ring(ring, 0)->renew, 0);
  EXPECT_EQ(kernel_ring(ring, 0)->renew_until_ns, 0U);
}

class KeyPoolRenewal : public KeyPoolTest {
 protected:
  std::optional<Key>& renews_to() { return world_.devices["bpf"].renews_to; }
  void break_server(const std::string& name, bool broken) {
    world_.devices[name].fails = [broken] { return broken ? std::string("read-only") : ""; };
  }
};

TEST_F(KeyPoolRenewal, OnlyToWhatEveryServerTook) {
  break_server("b", true);
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  EXPECT_EQ(renews_to(), std::nullopt) << "b has no key at all";
  EXPECT_EQ(pool->offered().renewal.target, 0U);
  EXPECT_NE(pool->ring().renewal.target, 0U);

  break_server("b", false);
  pool->tick();
  EXPECT_EQ(renews_to(), pool->ring().current()->key);
  EXPECT_EQ(world_.broken, "");
}

TEST_F(KeyPoolRenewal, NotToWhatAServerLacksSinceBeforeTheRestart) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  ASSERT_TRUE(pool->rotate());
  const Key previous = pool->ring().previous()->key;
  EXPECT_EQ(renews_to(), previous);
  pool.reset();
  // While nobody looked, somebody gave one server keys of last week, and it takes no others.
  world_.devices["c"].accepts = {Key::random(), Key::random()};
  break_server("c", true);
  world_.devices["bpf"].renews_to.reset();
  pool = make_pool();
  ASSERT_TRUE(pool->start());
  EXPECT_EQ(renews_to(), std::nullopt);
  break_server("c", false);
  clock_.pass(KeyPool::kRetry);
  pool->tick();
  EXPECT_EQ(renews_to(), previous);
  // What that server minted meanwhile is nobody's fault here.
  EXPECT_EQ(world_.broken.find("renews to"), std::string::npos) << world_.broken;
}

TEST_F(KeyPoolRenewal, GoesOnAcrossARestartWhereTheServersStillHoldTheKey) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  ASSERT_TRUE(pool->rotate());
  const Key previous = pool->ring().previous()->key;
  pool.reset();
  break_server("c", true);  // it cannot be written, but it holds what it should
  pool = make_pool();
  ASSERT_TRUE(pool->start());
  EXPECT_EQ(renews_to(), previous);
}

TEST_F(KeyPoolRenewal, GoesOnWhileAServerHoldsTheRotationUp) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  const Key old = pool->ring().current()->key;
  break_server("a", true);
  EXPECT_FALSE(pool->rotate());
  EXPECT_EQ(pool->ring().phase, Phase::staged);
  EXPECT_EQ(renews_to(), old);
  break_server("a", false);
  pool->tick();
  EXPECT_EQ(pool->ring().phase, Phase::steady);
  EXPECT_EQ(renews_to(), old);
  EXPECT_EQ(world_.broken, "");
}

TEST_F(KeyPoolRenewal, StopsWhenAServerIsFoundWithOtherKeys) {
  auto pool = make_pool();
  pool->set_on_drift(OnDrift::report);
  ASSERT_TRUE(pool->start());
  ASSERT_TRUE(renews_to());
  const std::vector<Key> ours = world_.devices["a"].accepts;
  world_.devices["a"].accepts = {Key::random()};
  clock_.pass(KeyPool::kVerify);
  pool->tick();
  EXPECT_EQ(renews_to(), std::nullopt);
  world_.devices["a"].accepts = ours;
  clock_.pass(KeyPool::kVerify);
  pool->tick();
  EXPECT_EQ(renews_to(), pool->ring().current()->key);
}

TEST_F(KeyPoolRenewal, GoesOnWithADriftThatKeepsTheKey) {
  auto pool = make_pool();
  pool->set_on_drift(OnDrift::report);
  ASSERT_TRUE(pool->start());
  const Key current = pool->ring().current()->key;
  world_.devices["a"].accepts = {Key::random(), current};
  clock_.pass(KeyPool::kVerify);
  pool->tick();
  EXPECT_EQ(renews_to(), current);
}

TEST_F(KeyPoolRenewal, TakesForHeldOnlyWhatEveryServerHolds) {
  auto pool = make_pool();
  pool->set_on_drift(OnDrift::report);
  ASSERT_TRUE(pool->start());
  ASSERT_TRUE(pool->rotate());
  const Generation previous = *pool->ring().previous();
  EXPECT_EQ(pool->offered().renewal.held.size(), 2U);
  world_.devices["a"].accepts = {Key::random(), previous.key};
  clock_.pass(KeyPool::kVerify);
  pool->tick();
  EXPECT_THAT(pool->offered().renewal.held, testing::ElementsAre(previous.id))
      << "cookies of the current key, which a does not hold, are renewed too";
  EXPECT_EQ(renews_to(), previous.key);
}

TEST_F(KeyPoolRenewal, WaitsForAnImportedBackupKey) {
  auto pool = make_pool(kByHand);
  ASSERT_TRUE(pool->start());
  const Key current = pool->ring().current()->key, imported = Key::random();
  break_server("b", true);
  EXPECT_FALSE(pool->import({current, imported}));
  EXPECT_EQ(pool->ring().previous()->key, imported);
  EXPECT_EQ(renews_to(), std::nullopt) << "b does not hold the imported key yet";
  break_server("b", false);
  pool->tick();
  EXPECT_EQ(renews_to(), imported);
  EXPECT_EQ(world_.broken, "");
}

TEST_F(KeyPoolRenewal, ADeletedNamespaceDoesNotStopIt) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  world_.devices["b"].gone = true;
  ASSERT_TRUE(pool->rotate());
  EXPECT_EQ(renews_to(), pool->ring().previous()->key);
}

TEST_F(KeyPoolRenewal, WithoutServersOfItsOwnTheStoreIsBelieved) {
  std::erase_if(world_.devices, [](const auto& device) { return device.first != "bpf"; });
  auto pool = make_pool(kByHand);
  ASSERT_TRUE(pool->start());
  const Key first = Key::random(), second = Key::random();
  ASSERT_TRUE(pool->import({first, second}));
  EXPECT_EQ(renews_to(), second);
}

}  // namespace
}  // namespace tfo::test
