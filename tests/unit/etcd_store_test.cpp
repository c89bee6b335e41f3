// SPDX-License-Identifier: BSD-2-Clause
// The etcd store between a scripted agent and a pool's sinks: what reaches whom, in which order,
// and what is acknowledged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/etcd_store_world.h"

namespace tfo::rotation {
namespace {

using test::kNow;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using namespace std::chrono_literals;

class EtcdStoreTest : public test::EtcdStoreTest {};

TEST_F(EtcdStoreTest, WhatTheStateFileHoldsIsInForceAtOnceAndConfirmed) {
  const auto pool = start_pool();
  EXPECT_EQ(fetches_, 0) << "nobody is waited for";
  EXPECT_EQ(script_.started, 1);
  EXPECT_THAT(world_.devices["a"].accepts, ElementsAre(key(2), key(1)));
  EXPECT_EQ(world_.devices["bpf"].renews_to, key(1));
  ASSERT_EQ(script_.confirmed.size(), 1U);
  EXPECT_EQ(script_.confirmed[0].counter, first_.counter);
  EXPECT_EQ(script_.confirmed[0].partial, "");
  EXPECT_EQ(pool->status().store, "etcd");
  pool->tick();
  EXPECT_EQ(script_.confirmed.size(), 1U) << "nothing new to say";
}

TEST_F(EtcdStoreTest, TheFirstDocumentIsWaitedFor) {
  fetches_that_fail_ = 1;
  const auto store = make_store(5s);
  ASSERT_TRUE(store->open(clock_.now(), {}));
  EXPECT_EQ(fetches_, 2);
  EXPECT_EQ(script_.made, 2) << "an agent that knows it";
  EXPECT_EQ(store->ring().current()->id, 2U);
}

TEST_F(EtcdStoreTest, WithoutADocumentTheErrorSaysWhereItLookedAndWhatToDo) {
  fetches_that_fail_ = 1000;
  const auto store = make_store(0ms);
  const auto opened = store->open(clock_.now(), {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(fetches_, 1) << "it asks once in any case";
  for (const char* part :
       {"https://10.0.0.1:2379", "web.rotation", "connection refused", "tfoctl farm init"}) {
    EXPECT_THAT(opened.error().message, HasSubstr(part));
  }
}

TEST_F(EtcdStoreTest, EveryStateOfARotationIsAppliedAndConfirmed) {
  const auto pool = start_pool();
  Document document = first_;
  const auto held = [this](const char* device) { return world_.devices[device].accepts; };
  for (const State state : {State::kPrepare, State::kStaged, State::kMinting, State::kSteady}) {
    document = after(document, state);
    follow(*pool, document);
    EXPECT_EQ(script_.confirmed.back().counter, document.counter);
    EXPECT_EQ(script_.confirmed.back().partial, "");
    const uint64_t next = document.next;
    if (state == State::kPrepare) {
      EXPECT_THAT(held("a"), ElementsAre(key(2), key(1)));
      EXPECT_THAT(held("bpf"), Contains(key(next)));
    }
    if (state == State::kStaged) {
      EXPECT_THAT(held("a"), ElementsAre(key(2), key(next)));
    }
    if (state == State::kMinting) {
      EXPECT_THAT(held("a"), ElementsAre(key(next), key(2)));
    }
    if (state == State::kSteady) {
      EXPECT_THAT(held("a"), ElementsAre(key(document.current), key(2)));
    }
    EXPECT_EQ(world_.devices["bpf"].renews_to, key(2));
  }
  EXPECT_EQ(script_.confirmed.size(), 5U);
  EXPECT_EQ(world_.broken, "");
  EXPECT_THAT(raised_, IsEmpty());
}

TEST_F(EtcdStoreTest, AServerThatFailsMakesItPartial) {
  const auto pool = start_pool();
  world_.devices["b"].fails = [] { return "read-only"; };
  const Document prepare = after(first_, State::kPrepare);
  follow(*pool, prepare);
  EXPECT_EQ(script_.confirmed.back().counter, prepare.counter);
  EXPECT_EQ(script_.confirmed.back().partial, "not in force: b");
  world_.devices["b"].fails = [] { return std::string(); };
  pool->tick();
  EXPECT_EQ(script_.confirmed.back().partial, "");
}

TEST_F(EtcdStoreTest, NoServerIsGivenADocumentBeforeTheValidators) {
  const auto pool = start_pool();
  follow(*pool, after(first_, State::kPrepare));
  const auto before = world_.devices["a"].accepts;
  world_.devices["bpf"].fails = [] { return "no map"; };
  follow(*pool, after(*script_.document, State::kStaged));
  EXPECT_EQ(world_.devices["a"].accepts, before);
  EXPECT_EQ(script_.confirmed.back().partial, "not in force: a, b, bpf");
  world_.devices["bpf"].fails = [] { return std::string(); };
  pool->tick();
  EXPECT_EQ(script_.confirmed.back().partial, "");
  EXPECT_EQ(world_.broken, "");
}

TEST_F(EtcdStoreTest, DriftWithdrawsTheAcknowledgement) {
  script_.document = first_;
  const auto pool = start_pool();
  pool->set_on_drift(OnDrift::report);
  const auto ours = world_.devices["a"].accepts;
  world_.devices["a"].accepts = {Key::random()};
  clock_.pass(KeyPool::kVerify);
  pool->tick();
  pool->tick();
  EXPECT_EQ(script_.confirmed.back().partial, "changed by somebody else: a");
  world_.devices["a"].accepts = ours;
  clock_.pass(KeyPool::kVerify);
  pool->tick();
  pool->tick();
  EXPECT_EQ(script_.confirmed.back().partial, "");
}

TEST_F(EtcdStoreTest, AFightWithdrawsTheAcknowledgementThoughEachRepairSucceeds) {
  const auto pool = start_pool();
  for (size_t i = 0; i <= RepairLog::kFight; ++i) {
    world_.devices["a"].accepts = {Key::random()};
    clock_.pass(KeyPool::kVerify);
    pool->tick();
  }
  EXPECT_EQ(script_.confirmed.back().partial, "changed by somebody else: a");
}

TEST_F(EtcdStoreTest, WhatTheNodeReportsIsAcknowledgedToo) {
  const auto pool = start_pool();
  EXPECT_FALSE(script_.confirmed.back().renews);
  store_->report({.renews = true, .partial = "listener", .listeners = {{{"port", 80}}}});
  pool->tick();
  EXPECT_TRUE(script_.confirmed.back().renews);
  EXPECT_EQ(script_.confirmed.back().partial, "listener");
  EXPECT_EQ(script_.confirmed.back().listeners[0]["port"], 80);
  clock_.pass(16'000);
  pool->tick();
  EXPECT_FALSE(script_.confirmed.back().renews) << "the fence is up";
}

TEST_F(EtcdStoreTest, ARotationIsAskedForAndNotWaitedFor) {
  const auto pool = start_pool();
  follow(*pool, after(first_, State::kPrepare));
  EXPECT_TRUE(pool->rotate()) << "it is under way, and the farm takes its time";
  ASSERT_EQ(script_.asked.size(), 1U);
  EXPECT_EQ(script_.asked[0].kind, Request::Kind::kRotate);
  EXPECT_THAT(pool->import({Key::random()}).error().message, HasSubstr("tfoctl farm init"));
}

TEST_F(EtcdStoreTest, TheFenceMovesInSteps) {
  const auto pool = start_pool();
  const auto until = [&] { return pool->ring().renewal.until; };
  const int64_t first = until();
  EXPECT_LE(first, script_.trusted_until);
  const int writes = world_.devices["a"].writes;
  script_.trusted_until += 10;
  pool->tick();
  EXPECT_EQ(until(), first) << "not worth a new ring";
  EXPECT_EQ(world_.devices["a"].writes, writes);
  script_.trusted_until += 1000;
  pool->tick();
  EXPECT_GT(until(), first);
  EXPECT_LE(until(), script_.trusted_until);
  script_.trusted_until = 0;
  pool->tick();
  EXPECT_LT(until(), kNow) << "the fence may come at once";
  EXPECT_NE(until(), 0) << "which would mean never";
  EXPECT_EQ(pool->ring().fresh_until, until()) << "one fence for renewing and for demoting";
}

TEST_F(EtcdStoreTest, PastTheFenceTheRingIsStaleOnceSomethingIsWrong) {
  const auto pool = start_pool();
  script_.trusted_until = 0;
  pool->tick();
  EXPECT_THAT(raised_, IsEmpty()) << "the agent may just not have asked yet";
  script_.troubles = {{"store_unreachable", "no answer"}};
  pool->tick();
  EXPECT_THAT(raised_["ring_stale"], HasSubstr("fresh_for"));
  script_.trusted_until = kNow + 1000;
  pool->tick();
  EXPECT_FALSE(raised_.contains("ring_stale")) << "it is confirmed, whatever else is wrong";
}

TEST_F(EtcdStoreTest, ARestartGoesOnRenewingAndARebootDoesNot) {
  auto pool = start_pool();
  const int64_t until = pool->ring().renewal.until;
  EXPECT_GT(until, kNow);
  script_.trusted_until = 0;  // of an agent that has not heard of etcd yet
  pool = start_pool();
  EXPECT_EQ(pool->ring().renewal.until, until);
  clock_.moment.unix_s += 1000;
  pool = start_pool();
  EXPECT_EQ(pool->ring().renewal.until, until + 1000) << "the wall clock was set, no time passed";
  script_.trusted_until = kNow + 500;
  pool->tick();
  EXPECT_EQ(pool->ring().renewal.until, kNow + 499) << "the agent knows better";
  script_.trusted_until = 0;
  clock_.moment.boot_id = "another";
  pool = start_pool();
  EXPECT_LT(pool->ring().renewal.until, kNow);
}

TEST_F(EtcdStoreTest, AServersRingHasNoFence) {
  settings_.balancer = false;
  const auto pool = start_pool();
  const int writes = world_.devices["a"].writes;
  script_.trusted_until += 100'000;
  pool->tick();
  EXPECT_EQ(world_.devices["a"].writes, writes);
  EXPECT_EQ(pool->ring().fresh_until, 0);
}

TEST_F(EtcdStoreTest, AChangeWakesTheOwner) {
  const auto pool = start_pool();
  EXPECT_FALSE(readable(pool->event_fd()));
  script_.changed();
  EXPECT_TRUE(readable(pool->event_fd()));
  pool->tick();
  EXPECT_FALSE(readable(pool->event_fd()));
}

TEST_F(EtcdStoreTest, AnAgentMayOutliveItsStore) {
  auto pool = start_pool();
  const auto agent = store_->release_agent();
  pool.reset();
  script_.changed();
}

TEST_F(EtcdStoreTest, WakesForTheEndOfAKey) {
  first_.generations[0].not_after = kNow + 50;
  auto pool = start_pool();
  follow(*pool, after(first_, State::kPrepare));
  follow(*pool, after(*script_.document, State::kStaged));
  ASSERT_NE(pool->ring().find(uint64_t{1}), nullptr) << "a retired key";
  EXPECT_EQ(store_->next_wakeup(), kNow + 50);
  clock_.pass(50);
  pool->tick();
  EXPECT_EQ(pool->ring().find(uint64_t{1}), nullptr);
}

TEST_F(EtcdStoreTest, TimeIsNotEarlierThanTheDocument) {
  first_.generations[0].not_after = kNow + 50;
  first_.issued_at = kNow + 60;
  auto pool = start_pool();
  follow(*pool, after(first_, State::kPrepare));
  follow(*pool, after(*script_.document, State::kStaged));
  EXPECT_EQ(pool->ring().find(uint64_t{1}), nullptr) << "our clock is behind";
}

TEST_F(EtcdStoreTest, TroublesAreConditionsAndBothHoldsAreOne) {
  auto pool = start_pool();
  script_.troubles = {{"store_unreachable", "no answer"}, {"rotation_held", "waits for s2"}};
  pool->tick();
  EXPECT_EQ(raised_["store_unreachable"], "no answer");
  EXPECT_EQ(raised_["rotation_held"], "waits for s2");
  follow(*pool, after(first_, State::kPrepare));
  world_.devices["b"].fails = [] { return "read-only"; };
  follow(*pool, after(*script_.document, State::kStaged));
  EXPECT_THAT(raised_["rotation_held"], HasSubstr("b: read-only"));
  EXPECT_THAT(raised_["rotation_held"], HasSubstr("waits for s2"));
  script_.troubles = {};
  world_.devices["b"].fails = [] { return std::string(); };
  pool->tick();
  EXPECT_THAT(raised_, IsEmpty());
}

TEST_F(EtcdStoreTest, OpensWhenTheFarmCountsOnIt) {
  auto pool = start_pool();
  EXPECT_TRUE(store_->may_open());
  EXPECT_FALSE(store_->outcast());
  script_.may_open = false;
  script_.troubles = {{"not_member", "forgotten"}};
  EXPECT_FALSE(store_->may_open());
  EXPECT_TRUE(store_->outcast());
}

TEST_F(EtcdStoreTest, NamesTheNextRotation) {
  settings_.policy.interval = 3600;
  auto pool = start_pool();
  EXPECT_EQ(pool->status().next_rotation, first_.rotated_at + 3600);
  follow(*pool, after(first_, State::kPrepare));
  EXPECT_EQ(pool->status().next_rotation, std::nullopt) << "one is under way";
}

TEST_F(EtcdStoreTest, WhatEtcdHasForgottenToBeRevokedStaysSo) {
  auto pool = start_pool();
  pool->tick();
  ASSERT_EQ(pool->ring().current()->id, 2U);
  script_.confirmed.clear();
  script_.lost = {2};
  follow(*pool, after(first_, State::kSteady));  // 2 is the other one now
  EXPECT_EQ(pool->ring().find(2)->place, TFO_PLACE_REVOKED);
  EXPECT_EQ(pool->ring().previous(), nullptr);
  ASSERT_FALSE(script_.confirmed.empty());
  EXPECT_THAT(script_.confirmed.back().partial, HasSubstr("revoked"));
  // The farm has revoked it again.
  script_.lost.clear();
  Document again = *script_.document;
  ++again.counter.sequence;
  again.find(2)->revoked = true;
  again.other = 0;
  follow(*pool, again);
  EXPECT_EQ(script_.confirmed.back().counter, again.counter);
  EXPECT_EQ(script_.confirmed.back().partial, "");
}

TEST_F(EtcdStoreTest, AnAdoptedForkOfTheSameCounterIsConfirmed) {
  auto pool = start_pool();
  pool->tick();
  ASSERT_FALSE(script_.confirmed.empty());
  const std::string before = script_.confirmed.back().hash;
  EXPECT_EQ(before, hash_of(first_));
  Document other = first_;
  other.writer = "somebody else";
  follow(*pool, other);
  EXPECT_EQ(script_.confirmed.back().counter, first_.counter);
  EXPECT_EQ(script_.confirmed.back().hash, hash_of(other));
  EXPECT_NE(script_.confirmed.back().hash, before);
}

}  // namespace
}  // namespace tfo::rotation
