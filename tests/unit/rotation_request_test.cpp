// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/rotation_rotator.h"

namespace tfo::rotation {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using RotationRequest = Rotator;

TEST_F(RotationRequest, AbortLeadsBackByTheWayOfEachState) {
  const std::vector<std::pair<State, State>> ways = {{State::kPrepare, State::kPrepare},
                                                     {State::kStaged, State::kPrepare},
                                                     {State::kMinting, State::kUnminting},
                                                     {State::kUnminting, State::kUnminting}};
  for (const auto& [from, to] : ways) {
    place(from);
    view_.acks.clear();
    ask(Request::Kind::kAbort);
    take();
    EXPECT_EQ(view_.document.state, to);
    EXPECT_TRUE(view_.document.aborting);
    ask(Request::Kind::kAbort);
    EXPECT_THAT(refusal(), HasSubstr("on its way back already"));
    view_.requests.clear();
    view_.acks.erase("lb1");
    EXPECT_FALSE(decide().next);
    ack("lb1");
    take();
    EXPECT_EQ(view_.document.state, State::kSteady);
    EXPECT_EQ(view_.document.current, 4U);
    EXPECT_EQ(view_.document.other, to == State::kPrepare ? 3U : 5U);
    EXPECT_EQ(view_.document.find(5) == nullptr, to == State::kPrepare);
    view_.requests.clear();
  }
  ask(Request::Kind::kAbort);
  EXPECT_THAT(refusal(), HasSubstr("no rotation is under way"));
}

TEST_F(RotationRequest, ARequestIsForTheDocumentThatItNames) {
  Request& request = ask(Request::Kind::kRotate);
  --request.expects.sequence;
  EXPECT_EQ(next().state, State::kPrepare) << "only upkeep since the event of counter 1";
  view_.document.events.back().counter = view_.document.counter;
  EXPECT_THAT(refusal(), HasSubstr("it was asked of document 1789999000.9"));
  EXPECT_FALSE(decide().next);
  request.expects = view_.document.counter;
  ++request.expects.sequence;
  EXPECT_THAT(refusal(), HasSubstr("the farm stands at 1789999000.10"));
  request.expects = view_.document.counter;
  --request.expects.incarnation;
  EXPECT_THAT(refusal(), HasSubstr("ask again"));
}

TEST_F(RotationRequest, AServedRequestCannotBePlayedAgain) {
  const Request played = ask(Request::Kind::kRotate);
  for (int state = 0; state < 4; ++state) take();
  ASSERT_EQ(view_.document.state, State::kSteady);
  view_.requests.push_back(played);
  EXPECT_THAT(refusal(), HasSubstr("it was asked of document"));
}

TEST_F(RotationRequest, AnAbortHoldsForAllStatesOfTheRotationThatItNames) {
  ask(Request::Kind::kRotate);
  take();
  const Counter prepared = view_.document.counter;
  take();
  take();
  ASSERT_EQ(view_.document.state, State::kMinting);
  ask(Request::Kind::kAbort).expects = prepared;
  EXPECT_EQ(next().state, State::kUnminting);
  --view_.requests.back().expects.sequence;
  EXPECT_THAT(refusal(), HasSubstr("asked of document"));
}

TEST_F(RotationRequest, ASecondRotationIsRefused) {
  for (const State state : {State::kPrepare, State::kStaged, State::kMinting, State::kUnminting}) {
    place(state);
    view_.requests.clear();
    ask(Request::Kind::kRotate);
    EXPECT_THAT(refusal(), HasSubstr("under way already"));
  }
}

/// Which generation is revoked where, and what then is in the slots (0: a fresh one).
struct Revocation {
  State state;
  uint64_t revoked;
  State after;
  uint64_t current;
  uint64_t other;
};

TEST_F(RotationRequest, RevokesInOneDocument) {
  const std::vector<Revocation> table = {
      {State::kSteady, 4, State::kSteady, 0, 3},    {State::kSteady, 3, State::kSteady, 4, 0},
      {State::kSteady, 1, State::kSteady, 4, 3},    {State::kPrepare, 4, State::kSteady, 5, 3},
      {State::kPrepare, 5, State::kSteady, 4, 3},   {State::kPrepare, 3, State::kPrepare, 4, 0},
      {State::kStaged, 4, State::kSteady, 5, 0},    {State::kStaged, 5, State::kSteady, 4, 0},
      {State::kStaged, 3, State::kStaged, 4, 0},    {State::kMinting, 4, State::kSteady, 5, 0},
      {State::kMinting, 5, State::kSteady, 4, 0},   {State::kMinting, 2, State::kMinting, 4, 3},
      {State::kUnminting, 4, State::kSteady, 5, 0}, {State::kUnminting, 5, State::kSteady, 4, 0}};
  for (const Revocation& row : table) {
    place(row.state);
    view_.requests.clear();
    view_.acks.clear();
    ask(Request::Kind::kRevoke).generation = row.revoked;
    const Document after = next();
    const std::string name = std::string(to_string(row.state)) + " " + id_text(row.revoked);
    EXPECT_EQ(after.state, row.after) << name;
    EXPECT_TRUE(after.find(row.revoked)->revoked) << name;
    const bool fresh = view_.document.find(after.current) == nullptr;
    EXPECT_EQ(fresh ? 0 : after.current, row.current) << name;
    EXPECT_EQ(after.other, row.other) << name;
    EXPECT_THAT(after.events.back().what, HasSubstr("revoked " + id_text(row.revoked)));
  }
}

TEST_F(RotationRequest, RevokesOnceAndMintsOnlyWhenItMay) {
  ask(Request::Kind::kRevoke).generation = 77;
  EXPECT_THAT(refusal(), HasSubstr("there is no generation"));
  view_.requests.back().generation = 4;
  view_.may_mint = false;
  EXPECT_FALSE(decide().next);
  EXPECT_EQ(refusal(), "");
  view_.may_mint = true;
  take();
  ask(Request::Kind::kRevoke).generation = 4;
  EXPECT_THAT(refusal(), HasSubstr("revoked already"));
}

TEST_F(RotationRequest, RevokesGentlyAtTheEndOfARotation) {
  Request& request = ask(Request::Kind::kRevoke);
  request.generation = 4;
  request.gentle = true;
  take();
  EXPECT_EQ(view_.document.state, State::kPrepare);
  EXPECT_FALSE(view_.document.find(4)->revoked);
  for (int state = 0; state < 3; ++state) take();
  EXPECT_EQ(view_.document.state, State::kSteady);
  EXPECT_TRUE(view_.document.find(4)->revoked);
  EXPECT_EQ(view_.document.other, 0U);
}

TEST_F(RotationRequest, AnAbortGivesAGentleRevocationUp) {
  place(State::kStaged);
  Request& request = ask(Request::Kind::kRevoke);
  request.generation = 5;
  request.gentle = true;
  EXPECT_THAT(refusal(), HasSubstr("not current yet"));
  request.generation = 4;
  take();
  EXPECT_EQ(view_.document.state, State::kStaged);
  EXPECT_EQ(view_.document.doomed, 4U);
  ask(Request::Kind::kAbort);
  EXPECT_THAT(next().events.back().what, HasSubstr("is not revoked"));
  EXPECT_EQ(next().doomed, 0U);
}

TEST_F(RotationRequest, ForgetsByCommandWhereThatIsSafe) {
  Request& request = ask(Request::Kind::kForget);
  request.node = "s9";
  EXPECT_THAT(refusal(), HasSubstr("not a member"));
  request.node = "lb1";
  EXPECT_THAT(refusal(), HasSubstr("is alive"));
  view_.live.erase("lb1");
  EXPECT_THAT(refusal(), HasSubstr("forgotten by itself in 5000 s"));
  request.off_wire = true;
  EXPECT_THAT(decide().forget, ElementsAre("lb1"));
  request.off_wire = false;
  request.node = "s2";
  view_.live.erase("s2");
  EXPECT_THAT(decide().forget, ElementsAre("s2"));
  EXPECT_THAT(next().events.back().what, HasSubstr("forgot s2"));
}

TEST_F(RotationRequest, RekeysWhenEverybodyHasTheLine) {
  Request& request = ask(Request::Kind::kRekey);
  request.key = 1;
  EXPECT_THAT(refusal(), HasSubstr("sealed under line 1"));
  request.key = 2;
  EXPECT_EQ(next().min_key, 2U);
  EXPECT_EQ(next().generations, view_.document.generations);
  view_.acks["s2"].opens = {1};
  view_.acks.erase("lb1");
  EXPECT_THAT(refusal(), HasSubstr("is not on lb1, s2"));
  all_ack();
  request.revoke_all = true;
  const Document fresh = next();
  EXPECT_EQ(fresh.generations.size(), 5U);
  EXPECT_EQ(std::count_if(fresh.generations.begin(), fresh.generations.end(),
                          [](const FarmGeneration& g) { return g.revoked; }),
            4);
  EXPECT_EQ(fresh.other, 0U);
}

TEST_F(RotationRequest, RekeyWaitsUntilAllMembersAreKnown) {
  ask(Request::Kind::kRekey).key = 2;
  view_.members.erase("s2");  // somebody has deleted its record
  view_.complete = false;
  const Decision waits = decide();
  EXPECT_FALSE(waits.next);
  EXPECT_TRUE(waits.refused.empty());
  view_.complete = true;
  EXPECT_EQ(next().min_key, 2U);
}

}  // namespace
}  // namespace tfo::rotation
