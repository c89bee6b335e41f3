// SPDX-License-Identifier: BSD-2-Clause
// What an operator sees of the guard and does to it, through the loaded program on the loader's
// maps.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "loader/dataplane/guard_tables.h"
#include "loader/dataplane/private_load.h"
#include "tests/support/cases.h"
#include "tests/support/guard_world.h"
#include "tests/support/host_core.h"
#include "tests/support/outcome.h"

namespace tfo::test::guard_operator_test {
namespace {

constexpr unsigned kLimit = 8;

ClientNetwork network(const std::string& text) { return parse_network(text).value(); }

/// One VIP that enforces, a limit of 8, and a clock that only the test moves.
class GuardOperator : public testing::Test {
 protected:
  void SetUp() override {
    tfo_load_config config{};
    config.guard = 1;
    MapSizes sizes;
    sizes.handshakes = MapSizes::kFewestHandshakes;
    auto loaded = PrivateLoad::load(config, sizes);
    ASSERT_OK(loaded);
    load_.emplace(std::move(*loaded));
    ASSERT_OK(load_->set_ring("web", tfo::test::ring_of({{kCurrentKey}})));
    ASSERT_OK(load_->set_vips({vip("web", 1000)}));
    slot_ = *load_->live().slots().find("web");
    advance(0);
  }

  static VipConfig vip(const std::string& name, unsigned cap) {
    VipConfig vip{.name = name,
                  .addresses = {network("192.0.2.10").address, network("2001:db8::10").address},
                  .ports = {443},
                  .pool = "web",
                  .mode = TFO_ENFORCE};
    vip.guard.limit = kLimit;
    vip.guard.vip_limit = cap;
    return vip;
  }

  void advance(uint64_t ns) { load_->set_now(now_ += ns); }
  GuardTables& guard() { return load_->live().guard(); }
  /// SYNs of these clients, with valid cookies; how many of them were over a limit or denied.
  uint64_t syns(const std::string& first24, unsigned from, unsigned count) {
    const auto before = counted();
    for (unsigned i = 0; i < count; ++i) {
      const auto sent = load_->run(GuardWorld::syn(first24 + std::to_string(from + i)).frame());
      EXPECT_TRUE(sent) << sent.error().message;
    }
    return counted() - before;
  }
  uint64_t counted() {
    const auto all = guard().counters(slot_ + 1);
    EXPECT_TRUE(all);
    return (*all)[slot_].answer[TFO_GUARD_OVER] + (*all)[slot_].answer[TFO_GUARD_DENIED];
  }
  std::vector<GuardedNetwork> guarded() {
    size_t all = 0;
    auto found = guard().guarded(100, &all);
    EXPECT_TRUE(found);
    return *found;
  }

  std::optional<PrivateLoad> load_;
  uint32_t slot_ = 0;
  uint64_t now_ = 1000 * kBucket;
};

TEST_F(GuardOperator, SeesWhoIsOverNewestFirst) {
  EXPECT_TRUE(guarded().empty());
  EXPECT_GT(syns("10.0.1.", 0, 3 * kLimit), 0U);
  advance(5 * kSecond);
  EXPECT_GT(syns("10.0.2.", 0, 3 * kLimit), 0U);
  const auto found = guarded();
  ASSERT_GE(found.size(), 2U);
  EXPECT_EQ(network_text(found.front().network), "10.0.2.0/24");
  EXPECT_EQ(network_text(found.back().network), "10.0.1.0/24");
  EXPECT_EQ(found.front().limit, kLimit);
  EXPECT_GE(found.front().load, kLimit);
  EXPECT_GT(found.front().over, 0U);
  EXPECT_NEAR(static_cast<double>(found.front().since_ns), static_cast<double>(now_), 2.0 * kTick);
  const auto vip = guard().vip(slot_);
  ASSERT_OK(vip);
  EXPECT_GE(vip->load, 2 * kLimit);
  size_t all = 0;
  EXPECT_EQ(guard().guarded(1, &all)->size(), 1U);
  EXPECT_EQ(all, found.size());
  advance(16 * kBucket);
  EXPECT_TRUE(guarded().empty()) << "whoever fell silent comes down without a packet";
}

TEST_F(GuardOperator, SeesWhoseHandshakesComeToNothing) {
  const auto open = [&](const Packet& syn) { ASSERT_OK(load_->run(syn.frame())); };
  const auto answer = [&](const Packet& syn, uint8_t flags) {
    ASSERT_OK(load_->run(GuardWorld::segment(syn, flags, 20).frame()));
  };
  syns("10.0.1.", 1, 3 * kLimit);  // as many as the limit lets through
  for (unsigned i = 1; i <= kLimit; ++i) {
    const Packet honest = GuardWorld::syn("10.0.2." + std::to_string(i));
    open(honest);
    answer(honest, kAck);
    const Packet resets = GuardWorld::syn("10.0.3." + std::to_string(i));
    open(resets);
    answer(resets, kRst);
    open(from_port(GuardWorld::syn("10.0.4.1"), 1000 + i));
  }
  syns("10.0.3.", 100, 1);  // over its limit by now
  advance(2 * kBucket);
  std::map<std::string, HandshakeRing::Bucket> found;
  for (const NetworkHandshakes& one : guard().network_rings()) {
    EXPECT_EQ(one.slot, slot_);
    EXPECT_TRUE(found.emplace(network_text(one.network), one.ring.age[2]).second);
  }
  EXPECT_EQ(found.size(), 3U) << "nobody knows the name of who was not over a limit";
  EXPECT_EQ(found["10.0.1.0/24"].opened, kLimit);
  EXPECT_EQ(found["10.0.1.0/24"].unanswered, kLimit);
  EXPECT_EQ(found["10.0.3.0/24"].reset, kLimit);
  EXPECT_EQ(found["10.0.3.0/24"].unanswered, 0U);
  EXPECT_GT(found["10.0.4.0/24"].unanswered, 0U) << "its one address was over its own limit";
  EXPECT_LT(found["10.0.4.0/24"].unanswered, kLimit);
  const HandshakeRing all = guard().vip_ring(slot_);
  EXPECT_EQ(all.age[2].reset, kLimit);
  EXPECT_EQ(all.age[2].unanswered, kLimit + found["10.0.4.0/24"].unanswered);
  EXPECT_EQ(all.age[2].opened, all.age[2].unanswered + 2 * kLimit);
}

TEST_F(GuardOperator, TakesEventsOnce) {
  syns("10.0.1.", 0, 3 * kLimit);
  std::vector<tfo_guard_event> events;
  const auto take = [&](const tfo_guard_event& event) { events.push_back(event); };
  ASSERT_OK(guard().take_events(take));
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.front().kind, TFO_GUARD_ENTERED);
  events.clear();
  ASSERT_OK(guard().take_events(take));
  EXPECT_TRUE(events.empty());
}

TEST_F(GuardOperator, ReleaseForgetsAtOnceAndNobodyElses) {
  syns("10.0.1.", 0, 3 * kLimit);
  syns("10.0.2.", 0, 3 * kLimit);
  EXPECT_EQ(syns("10.0.1.", 100, 1), 1U);
  const auto released = guard().release(network("10.0.1.0/24"), {slot_});
  ASSERT_OK(released);
  EXPECT_GE(*released, 1U);
  EXPECT_EQ(syns("10.0.1.", 101, 1), 0U) << "free again";
  EXPECT_EQ(syns("10.0.2.", 101, 1), 1U) << "still over its limit";
  EXPECT_EQ(*guard().release(network("10.0.9.0/24"), {slot_}), 0U);
  EXPECT_GE(*guard().release(network("10.0.0.0/8"), {slot_}), 1U) << "what lies in it";
  EXPECT_EQ(syns("10.0.2.", 102, 1), 0U);
}

TEST_F(GuardOperator, WhoIsReleasedHasStillAnsweredBefore) {
  constexpr unsigned kCap = 40;
  ASSERT_OK(load_->set_vips({vip("web", kCap)}));
  const Packet first = GuardWorld::syn("10.9.0.1");
  ASSERT_OK(load_->run(first.frame()));
  ASSERT_OK(load_->run(GuardWorld::segment(first, kAck, 20).frame()));
  EXPECT_GT(syns("10.9.0.", 2, 2 * kLimit), 0U) << "it is used as a victim";
  for (unsigned i = 0; i < 2 * kCap; ++i) syns("10.0." + std::to_string(i) + ".", 1, 1);
  EXPECT_EQ(syns("10.8.0.", 1, 1), 1U) << "closed to strangers";
  EXPECT_EQ(*guard().release(network("10.9.0.0/24"), {slot_}), 1U);
  EXPECT_EQ(syns("10.9.0.", 100, 1), 0U);
  EXPECT_EQ(*guard().release(network("10.9.0.0/24"), {slot_}), 1U);
  EXPECT_EQ(*guard().release(network("10.9.0.0/24"), {slot_}), 0U) << "nothing was left";
  advance(kBucket);
  EXPECT_EQ(syns("10.9.0.", 101, 1), 0U) << "counted anew from there";
}

TEST_F(GuardOperator, AnotherVipInTheSlotInheritsNobody) {
  EXPECT_GT(syns("10.0.1.", 0, 3 * kLimit), 0U);
  std::optional<uint32_t> slot;
  for (uint32_t i = 0; i < MapSizes{}.slots && slot != slot_; ++i) {
    const std::string name = "other" + std::to_string(i);
    ASSERT_OK(load_->set_vips({vip(name, 1000)}));
    slot = load_->live().slots().find(name);
  }
  ASSERT_EQ(slot, slot_);
  EXPECT_EQ(syns("10.0.1.", 100, 1), 0U);
}

TEST_F(GuardOperator, DeniesUntilItsTimeIsOverAndAllowsBeyondTheLimit) {
  ASSERT_OK(guard().list({network("10.0.1.0/24"), TFO_LIST_DENY, now_ + 60 * kSecond}));
  EXPECT_EQ(syns("10.0.1.", 0, 2), 2U);
  EXPECT_EQ(syns("10.0.2.", 0, 2), 0U);
  ASSERT_OK(guard().list({network("10.0.1.7"), TFO_LIST_ALLOW, ListedNetwork::kForEver}));
  EXPECT_EQ(syns("10.0.1.", 7, 1), 0U) << "the longest entry counts";
  EXPECT_EQ(guard().listed()->size(), 2U);
  advance(61 * kSecond);
  EXPECT_EQ(syns("10.0.1.", 10, 1), 0U) << "over, and nobody cleaned up";
  EXPECT_EQ(guard().listed()->size(), 1U);
  ASSERT_OK(guard().purge());
  EXPECT_EQ(*guard().unlist(network("10.0.1.0/24")), false) << "it was purged";
  EXPECT_EQ(*guard().unlist(network("10.0.1.7")), true);
  ASSERT_OK(guard().list({network("10.0.5.0/24"), TFO_LIST_ALLOW, ListedNetwork::kForEver}));
  EXPECT_EQ(syns("10.0.5.", 0, 5 * kLimit), 0U);
  ASSERT_OK(guard().list({network("2001:db8:5::/48"), TFO_LIST_DENY, ListedNetwork::kForEver}));
  EXPECT_EQ(syns("2001:db8:5::", 1, 2), 2U);
  EXPECT_EQ(syns("2001:db8:6::", 1, 2), 0U);
}

TEST_F(GuardOperator, AWordOnIpv6IsNoneOnIpv4) {
  for (const char* text : {"::/1", "::/80"}) {
    ASSERT_OK(guard().list({network(text), TFO_LIST_DENY, ListedNetwork::kForEver}));
  }
  EXPECT_EQ(syns("10.0.1.", 0, 2), 0U);
  EXPECT_EQ(syns("2001:db8:5::", 1, 2), 2U) << "in ::/1";
  ASSERT_OK(guard().list({network("10.0.1.0/24"), TFO_LIST_DENY, ListedNetwork::kForEver}));
  EXPECT_EQ(syns("10.0.1.", 7, 1), 1U);
}

TEST_F(GuardOperator, AddsEntriesWithoutReadingThemAllAnew) {
  ClientNetwork one = network("10.0.0.1");
  const auto begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < GuardTables::kMostListed; ++i) {
    one.address[13] = static_cast<uint8_t>(i >> 8);
    one.address[14] = static_cast<uint8_t>(i);
    ASSERT_OK(guard().list({one, TFO_LIST_DENY, ListedNetwork::kForEver}));
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(took.count(), 0.5) << "seconds";
  RecordProperty("seconds", std::to_string(took.count()));
  EXPECT_EQ(guard().listed()->size(), GuardTables::kMostListed);
  ASSERT_OK(guard().unlist(one));
  EXPECT_EQ(load_->live().maps().control.guard_list(), GuardTables::kMostListed - 1);
}

TEST_F(GuardOperator, HoldsAThousandAndTwentyFourEntriesAndSaysSo) {
  ClientNetwork one = network("10.0.0.1");
  for (size_t i = 0; i < GuardTables::kMostListed; ++i) {
    one.address[13] = static_cast<uint8_t>(i >> 8);
    one.address[14] = static_cast<uint8_t>(i);
    const uint64_t until = i == 0 ? now_ + kSecond : ListedNetwork::kForEver;
    ASSERT_OK(guard().list({one, TFO_LIST_ALLOW, until}));
  }
  const auto more = guard().list({network("10.9.9.9"), TFO_LIST_DENY, ListedNetwork::kForEver});
  ASSERT_FALSE(more);
  EXPECT_NE(more.error().message.find("1024"), std::string::npos) << more.error().message;
  EXPECT_TRUE(guard().list({one, TFO_LIST_DENY, ListedNetwork::kForEver})) << "it is there already";
  advance(2 * kSecond);
  EXPECT_TRUE(guard().list({network("10.9.9.9"), TFO_LIST_DENY, ListedNetwork::kForEver}))
      << "one had ended";
}

}  // namespace
}  // namespace tfo::test::guard_operator_test
