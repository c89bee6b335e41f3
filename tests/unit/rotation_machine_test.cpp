// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loader/rotation/machine.h"
#include "tests/unit/rotation_rotator.h"

namespace tfo::rotation {
namespace {

using RotationMachine = Rotator;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(RotationMachine, GoesRoundWhenAllAcknowledgeEachState) {
  ask(Request::Kind::kRotate);
  Decision decision = decide();
  EXPECT_THAT(decision.served, ElementsAre("0000000000000001"));
  take();
  const uint64_t fresh = view_.document.next;
  EXPECT_EQ(view_.document.state, State::kPrepare);
  view_.acks.erase("s2");
  decision = decide();
  EXPECT_FALSE(decision.next);
  EXPECT_THAT(decision.waits_for, ElementsAre("s2"));
  ack("s2");
  take();
  EXPECT_EQ(view_.document.state, State::kStaged);
  take();
  EXPECT_EQ(view_.document.state, State::kMinting);
  EXPECT_EQ(view_.document.current, 4U);
  take(7);
  EXPECT_EQ(view_.document.state, State::kSteady);
  EXPECT_EQ(view_.document.current, fresh);
  EXPECT_EQ(view_.document.other, 4U);
  EXPECT_EQ(view_.document.rotated_at, kNow + 7);
  EXPECT_EQ(view_.document.find(1), nullptr);  // two retired ones are kept
  EXPECT_NE(view_.document.find(2), nullptr);
  EXPECT_EQ(view_.document.events.size(), 5U);
  EXPECT_FALSE(decide().next);
}

TEST_F(RotationMachine, OnlyAFullAcknowledgementOfThisDocumentCounts) {
  place(State::kPrepare);
  all_ack();
  EXPECT_TRUE(decide().next);
  view_.acks["s2"].partial = "netns blue";
  EXPECT_THAT(decide().waits_for, ElementsAre("s2"));
  ack("s2");
  --view_.acks["s2"].counter.sequence;
  EXPECT_THAT(decide().waits_for, ElementsAre("s2"));
  ack("s2");
  view_.acks["s2"].hash = "0000000000000000";
  EXPECT_FALSE(has_acked(view_, "s2"));
  EXPECT_THAT(decide().waits_for, ElementsAre("s2"));
  view_.members.clear();
  EXPECT_FALSE(decide().next);
}

TEST_F(RotationMachine, IsDueAfterTheIntervalAndNamesThatMoment) {
  EXPECT_EQ(decide().wake_at, kNow - 10 + 1000);
  EXPECT_FALSE(decide(989).next);
  EXPECT_EQ(next(990).state, State::kPrepare);
  view_.may_mint = false;
  EXPECT_FALSE(decide(990).next);
  ask(Request::Kind::kRotate);
  const Decision waits = decide();
  EXPECT_FALSE(waits.next);
  EXPECT_THAT(waits.refused, IsEmpty());
}

TEST_F(RotationMachine, TimeNeverGoesBack) {
  view_.document.issued_at = kNow + 500;
  all_ack();
  ask(Request::Kind::kRotate);
  EXPECT_EQ(next().issued_at, kNow + 500);
}

TEST_F(RotationMachine, AClockThatOnceWasFarAheadForgetsNobody) {
  view_.document.issued_at = kNow + 100'000;
  view_.live = {"s1"};
  EXPECT_THAT(decide().forget, IsEmpty());
}

TEST_F(RotationMachine, AtTheDeadlineGoesOnOnlyIfEveryBalancerRenews) {
  place(State::kStaged);
  all_ack();
  view_.acks.erase("s2");
  EXPECT_FALSE(decide(49).next);
  EXPECT_EQ(decide().held, "");
  EXPECT_EQ(decide().wake_at, kNow + 50);
  EXPECT_EQ(next(50).state, State::kMinting);
  view_.acks["lb1"].renews = false;
  EXPECT_THAT(decide(50).held, HasSubstr("balancer lb1 does not renew"));
  view_.acks.erase("lb1");
  EXPECT_THAT(decide(50).held, HasSubstr("balancer lb1 does not renew"));
  view_.members.erase("lb1");
  EXPECT_THAT(decide(50).held, HasSubstr("no balancer"));
  EXPECT_FALSE(decide(50).next);
}

TEST_F(RotationMachine, OnlyStagedGoesOnWithoutAStraggler) {
  for (const State state : {State::kPrepare, State::kMinting, State::kUnminting}) {
    place(state);
    all_ack();
    view_.acks.erase("s2");
    const Decision decision = decide(400);
    EXPECT_FALSE(decision.next) << to_string(state);
    EXPECT_THAT(decision.held, HasSubstr("s2"));
  }
}

class Holder : public Rotator {
 protected:
  Holder()
      : Rotator([] {
          Policy policy = kPolicy;
          policy.go_on_at_deadline = false;
          return policy;
        }()) {}
};

TEST_F(Holder, HoldsAndExtendsWhatIsInTheSlotsMeanwhile) {
  place(State::kStaged);
  all_ack();
  view_.acks.erase("s2");
  const Decision held = decide(100);
  EXPECT_FALSE(held.next);
  EXPECT_THAT(held.held, HasSubstr("staged for 110 s: no acknowledgement from s2"));
  EXPECT_EQ(held.wake_at, kNow + 2000 - 500);
  EXPECT_FALSE(decide(1499).next);
  const Document extended = next(1500);
  EXPECT_EQ(extended.state, State::kStaged);
  EXPECT_EQ(extended.state_since, view_.document.state_since);
  EXPECT_EQ(extended.events, view_.document.events);
  for (const uint64_t id : {3U, 4U, 5U}) EXPECT_EQ(extended.find(id)->not_after, kNow + 2500);
  EXPECT_EQ(extended.find(2)->not_after, kNow + 2000);
}

TEST_F(RotationMachine, WhatHasExpiredLeavesButNeverTheSlots) {
  view_.document.find(1)->revoked = true;
  for (FarmGeneration& one : view_.document.generations) one.not_after = kNow + 20;
  const Document after = next(20);
  EXPECT_EQ(after.generations.size(), 2U);
  EXPECT_EQ(after.find(4)->not_after, kNow + 1020);
}

TEST_F(RotationMachine, AnUnmintingThatIsNotOnItsWayBackMintsAgain) {
  place(State::kUnminting);
  all_ack();
  EXPECT_EQ(next().state, State::kMinting);
}

TEST_F(RotationMachine, ForgetsByItselfWhoWasAwayForLong) {
  place(State::kPrepare);
  all_ack();
  view_.acks.erase("s2");
  view_.live.erase("s2");
  EXPECT_THAT(decide().forget, IsEmpty());
  view_.silent_for["s2"] = 4999;
  EXPECT_EQ(decide().wake_at, kNow + 1);
  // Not by the wall clock, which somebody may set.
  EXPECT_THAT(decide(100'000).forget, IsEmpty());
  view_.silent_for["s2"] = 5000;
  const Decision decision = decide(1);
  EXPECT_THAT(decision.forget, ElementsAre("s2"));
  EXPECT_THAT(decision.next->forgotten, ElementsAre("s2"));
  view_.document = *decision.next;
  view_.members.erase("s2");
  all_ack();
  EXPECT_EQ(next().state, State::kStaged);
  // Back again: no longer a former member.
  view_.members["s2"] = {.node = "s2", .server = true};
  view_.live.insert("s2");
  all_ack();
  EXPECT_THAT(next().forgotten, IsEmpty());
}

TEST_F(RotationMachine, NeverHoldsMoreThanAValidatorCan) {
  for (uint8_t number = 20; view_.document.generations.size() < TFO_MAX_GENERATIONS; ++number) {
    view_.document.generations.insert(view_.document.generations.begin(), generation(number, true));
  }
  all_ack();
  ask(Request::Kind::kRotate);
  take();
  EXPECT_EQ(view_.document.generations.size(), size_t{TFO_MAX_GENERATIONS});
  EXPECT_EQ(view_.document.find(1), nullptr);
  EXPECT_NE(view_.document.find(2), nullptr);
}

TEST_F(RotationMachine, ResignsWithAClockThatMostOthersDoNotShare) {
  view_.clock_offsets = {{"s2", 60}, {"lb1", 60}};
  EXPECT_EQ(decide().resign, "");
  view_.clock_offsets = {{"s2", 61}, {"lb1", 3600}};
  ask(Request::Kind::kRotate);
  EXPECT_THAT(decide().resign, HasSubstr("61 s away"));
  EXPECT_FALSE(decide().next);
  view_.clock_offsets = {{"s2", 3600}, {"lb1", 0}};
  EXPECT_EQ(decide().resign, "");
  // Of two nobody can tell; and both resigning would end all rotation.
  view_.clock_offsets = {{"s1", 0}, {"s2", -3600}};
  EXPECT_EQ(decide().resign, "");
}

TEST(RotationFirst, KeysInTheOrderGiven) {
  const Machine machine(kPolicy, "s1");
  const auto made = machine.first("edge", "web", kNow, 3, {key_of(1), key_of(2), key_of(3)});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->find(made->current)->key, key_of(1));
  EXPECT_EQ(made->find(made->other)->key, key_of(2));
  EXPECT_EQ(made->generations.front().key, key_of(3));
  EXPECT_EQ(made->min_key, 3U);
  EXPECT_EQ(made->counter.text(), "1790000000.1");
  const auto random = machine.first("edge", "web", kNow, 1, {});
  ASSERT_TRUE(random);
  EXPECT_EQ(random->generations.size(), 1U);
  EXPECT_FALSE(machine.first("edge", "web", kNow, 1, {key_of(1), key_of(1)}));
  EXPECT_FALSE(machine.first("a/b", "web", kNow, 1, {}));
  EXPECT_FALSE(machine.first("edge", "web", kNow, 1, std::vector<Key>(17, key_of(1))));
}

TEST(RotationJudge, TheHigherCounterWinsWhereverItLies) {
  const Document mine = document();
  Document read = mine;
  EXPECT_EQ(judge(std::nullopt, std::nullopt), Verdict::kSame);
  EXPECT_EQ(judge(std::nullopt, read), Verdict::kFollow);
  EXPECT_EQ(judge(mine, std::nullopt), Verdict::kPutBack);
  EXPECT_EQ(judge(mine, read), Verdict::kSame);
  read.writer = "s2";
  EXPECT_EQ(judge(mine, read), Verdict::kFork);
  --read.counter.sequence;
  EXPECT_EQ(judge(mine, read), Verdict::kPutBack);
  ++read.counter.incarnation;
  EXPECT_EQ(judge(mine, read), Verdict::kFollow);
}

TEST(RotationJudge, LostRevocationsAreKeptUntilTheDocumentHasThem) {
  Document mine = document();
  mine.find(1)->revoked = mine.find(2)->revoked = true;
  Document read = document();
  read.find(2)->revoked = true;
  const std::set<uint64_t> lost = lost_revocations({}, mine, read);
  EXPECT_THAT(lost, ElementsAre(1));
  // The next document knows nothing of it either, and is the node's own by then.
  EXPECT_THAT(lost_revocations(lost, document(), document()), ElementsAre(1));
  EXPECT_THAT(lost_revocations(lost, std::nullopt, document()), ElementsAre(1));
  EXPECT_THAT(lost_revocations(lost, document(), mine), IsEmpty());
  read.generations.erase(read.generations.begin());
  EXPECT_THAT(lost_revocations(lost, mine, read), IsEmpty());
}

TEST(RotationGuarded, WhatIsKnownToBeRevokedIsNotAccepted) {
  struct Row {
    State state;
    uint64_t lost;
    uint64_t current;
    uint64_t backup;
  };
  const std::vector<Row> rows = {
      {State::kSteady, 1, 4, 3},  {State::kSteady, 3, 4, 0},    {State::kSteady, 4, 3, 0},
      {State::kPrepare, 5, 4, 3}, {State::kPrepare, 4, 3, 0},   {State::kStaged, 3, 4, 5},
      {State::kStaged, 4, 5, 0},  {State::kStaged, 5, 4, 0},    {State::kMinting, 4, 5, 0},
      {State::kMinting, 5, 4, 0}, {State::kUnminting, 4, 5, 0},
  };
  for (const Row& row : rows) {
    const Document from = document(row.state);
    const Document safe = guarded(from, {row.lost});
    const std::string name = fmt::format("{} {}", to_string(row.state), row.lost);
    EXPECT_TRUE(safe.check()) << name;
    const KeyRing ring = ring_of(safe, 1, kNow, 0);
    ASSERT_TRUE(ring.check()) << name << ring.check().error().message;
    EXPECT_EQ(ring.find(row.lost)->place, TFO_PLACE_REVOKED) << name;
    EXPECT_EQ(ring.current()->id, row.current) << name;
    EXPECT_EQ(ring.backup() == nullptr ? 0 : ring.backup()->id, row.backup) << name;
    EXPECT_EQ(touches_slots(from, {row.lost}), row.lost != 1 && name != "staged 3") << name;
  }
  // Nothing else is there to mint with.
  const Document last = guarded(document(), {3, 4});
  EXPECT_EQ(last.current, 4U);
  EXPECT_EQ(last.other, 0U);
  EXPECT_FALSE(last.find(4)->revoked);
  EXPECT_TRUE(last.find(3)->revoked);
  EXPECT_TRUE(last.check());
  EXPECT_EQ(guarded(document(), {}), document());
}

TEST_F(RotationMachine, DoesNothingByTheTimeBeforeOthersCanContradictItsClock) {
  view_.clock_offsets.clear();
  const int64_t due = 1000;
  EXPECT_FALSE(decide(due).next) << "a rotation is due";
  EXPECT_FALSE(decide(1990).next) << "the keys' lives are to be extended";
  view_.live.erase("s2");
  view_.silent_for["s2"] = 5000;
  EXPECT_THAT(decide().forget, IsEmpty());
  view_.live.insert("s2");
  // Half of the others is not most of them.
  view_.clock_offsets["s2"] = 0;
  EXPECT_FALSE(decide(due).next);
  view_.clock_offsets["lb1"] = 0;
  EXPECT_TRUE(decide(due).next);
  // Who is not there, or has never acknowledged anything, is not waited for.
  view_.clock_offsets.clear();
  view_.live.erase("s2");
  view_.acks.erase("lb1");
  EXPECT_TRUE(decide(due).next);
}

TEST_F(RotationMachine, GoesOnWithoutTheTimeWhereEverybodyHasAcknowledged) {
  view_.clock_offsets.clear();
  place(State::kStaged);
  all_ack();
  EXPECT_EQ(next().state, State::kMinting);
  view_.acks.erase("s2");
  EXPECT_FALSE(decide(500).next) << "the deadline is a matter of time";
  EXPECT_EQ(decide(500).held, "");
}

TEST_F(RotationMachine, NoClockThatNobodyVouchesForGetsIntoADocument) {
  view_.clock_offsets.clear();
  const int64_t far = 100'000'000;
  const Document& now = view_.document;
  const auto is_untouched = [&](const Document& made) {
    EXPECT_EQ(made.issued_at, now.issued_at);
    EXPECT_EQ(made.state_since, now.issued_at);
    for (const FarmGeneration& one : made.generations) {
      const FarmGeneration* before = now.find(one.id);
      EXPECT_EQ(one.not_after, before != nullptr ? before->not_after : now.issued_at + 3000);
    }
  };
  ask(Request::Kind::kRotate);
  const Document asked = next(far);
  is_untouched(asked);
  EXPECT_EQ(asked.state, State::kPrepare);
  EXPECT_EQ(asked.generations.size(), 5U) << "none has expired by a wrong clock";
  place(State::kStaged);
  all_ack();
  view_.requests.clear();
  const Document stepped = next(far);
  is_untouched(stepped);
  EXPECT_EQ(stepped.state, State::kMinting);
  view_.clock_offsets = {{"s2", 0}, {"lb1", 0}};
  EXPECT_EQ(next(5).issued_at, kNow + 5);
}

TEST_F(RotationMachine, WithoutTheOthersOnlyASynchronisedClockCounts) {
  view_.live = {"s1"};
  view_.clock_offsets.clear();
  view_.synchronised = false;
  EXPECT_FALSE(decide(1000).next);
  EXPECT_EQ(decide(1000).wake_at, kNow + 1060) << "nothing tells of it";
  view_.synchronised = true;
  EXPECT_TRUE(decide(1000).next);
  view_.complete = false;
  EXPECT_FALSE(decide(1000).next) << "who the others are is not known yet";
  // A farm of one.
  view_.complete = true;
  view_.synchronised = false;
  view_.members = {{"s1", view_.members.at("s1")}};
  EXPECT_TRUE(decide(1000).next);
}

TEST_F(RotationMachine, ResignsWhetherItsClockIsAheadOrBehind) {
  for (const int64_t offset : {-3600, 3600, -61, 61}) {
    view_.clock_offsets = {{"s2", offset}, {"lb1", offset}};
    const Decision decision = decide(1'000'000);
    EXPECT_THAT(decision.resign, HasSubstr("clock of s1")) << offset;
    EXPECT_FALSE(decision.next) << offset;
  }
  view_.clock_offsets = {{"s2", -60}, {"lb1", -60}};
  EXPECT_EQ(decide().resign, "");
}

TEST_F(RotationMachine, TakesNoStepBeforeWhoWasDeletedCanHaveComeBack) {
  place(State::kStaged);
  all_ack();
  view_.complete = false;
  EXPECT_FALSE(decide().next);
  view_.complete = true;
  EXPECT_EQ(next().state, State::kMinting);
}

TEST(RotationForgotten, OldestGoWhenThereAreTooMany) {
  NameList names;
  for (size_t i = 0; i < NameList::kMost + 2; ++i) names.insert(fmt::format("s{}", i));
  names.insert("s2");  // is there already
  EXPECT_EQ(names.size(), NameList::kMost);
  EXPECT_FALSE(names.contains("s1"));
  EXPECT_TRUE(names.contains("s2"));
  Document doc = document();
  doc.forgotten = names;
  const auto read = decode_document(encode(doc));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, doc);
}

}  // namespace
}  // namespace tfo::rotation
