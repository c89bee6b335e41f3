// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

#include "loader/rotation/machine.h"
#include "loader/rotation/tally.h"
#include "tests/unit/rotation_world.h"

namespace tfo::rotation {
namespace {

/// A document whose last event says this.
Document after(Document doc, const std::string& what) {
  ++doc.counter.sequence;
  doc.events.push_back({.at = 1, .counter = doc.counter, .state = State::kSteady, .what = what});
  return doc;
}

std::optional<Ending> ending(const std::string& what) {
  Event event;
  event.what = what;
  return ending_of(event);
}

TEST(RotationTally, KnowsAnEndByItsEvent) {
  EXPECT_EQ(ending("rotation complete: current is 00000000000000aa"), Ending::kCompleted);
  EXPECT_EQ(ending("rotation complete: current is 00000000000000aa, revoked 00000000000000bb"),
            Ending::kRevoked);
  EXPECT_EQ(ending("rotation aborted"), Ending::kAborted);
  EXPECT_EQ(ending("revoked 00000000000000aa"), Ending::kRevoked);
  EXPECT_EQ(ending("sealed under line 2 of the farm key file, every generation before revoked"),
            Ending::kRevoked);
  for (const char* other :
       {"rotation by command", "rotation due", "everybody has acknowledged", "abort by command",
        "abort by command, 00000000000000aa is not revoked",
        "00000000000000aa is revoked when this rotation is complete", "farm made",
        "sealed under line 2 of the farm key file", "forgot s1 by command", ""}) {
    EXPECT_EQ(ending(other), std::nullopt) << other;
  }
}

TEST(RotationTally, CountsWhatHappensAfterTheFirstLook) {
  EndingCounter counter;
  Document doc = after(document(), "rotation complete: current is 00000000000000aa");
  counter.look(doc);
  EXPECT_EQ(counter.counts(), RotationCounts{}) << "it was so before";
  doc = after(doc, "rotation complete: current is 00000000000000bb");
  counter.look(doc);
  counter.look(doc);
  EXPECT_EQ(counter.counts(), (RotationCounts{.completed = 1})) << "once";
}

TEST(RotationTally, MissesNoDocumentThatThisNodeDidNotSee) {
  EndingCounter counter;
  Document doc = document();
  counter.look(doc);
  for (const char* what :
       {"rotation by command", "rotation aborted", "rotation due",
        "rotation complete: current is 00000000000000aa", "revoked 00000000000000bb"}) {
    doc = after(doc, what);
  }
  counter.look(doc);
  EXPECT_EQ(counter.counts(), (RotationCounts{.completed = 1, .aborted = 1, .revoked = 1}));
}

TEST(RotationTally, AnOlderDocumentThatWasAdoptedCountsNothingTwice) {
  EndingCounter counter;
  const Document old = document();
  Document doc = after(old, "rotation complete: current is 00000000000000aa");
  counter.look(old);
  counter.look(doc);
  counter.look(old);
  counter.look(after(old, "rotation aborted"));
  EXPECT_EQ(counter.counts(), (RotationCounts{.completed = 1, .aborted = 1}));
}

/// What the rotator writes is what is counted: the words are not only the test's.
TEST(RotationTally, TheRotatorsOwnEventsAreKnown) {
  const Machine machine(Policy{}, "a");
  FarmView view;
  view.document = document(State::kMinting);
  view.members["a"] = {.node = "a", .balancer = true};
  view.acks["a"] = {.node = "a",
                    .counter = view.document.counter,
                    .hash = hash_of(view.document),
                    .balancer = true,
                    .renews = true};
  view.live = {"a"};
  const auto decision = machine.decide(view, view.document.issued_at);
  ASSERT_TRUE(decision.next);
  EXPECT_EQ(ending_of(decision.next->events.back()), Ending::kCompleted);
  view.document.doomed = view.document.current;
  view.acks["a"].hash = hash_of(view.document);
  const auto gentle = machine.decide(view, view.document.issued_at);
  ASSERT_TRUE(gentle.next);
  EXPECT_EQ(ending_of(gentle.next->events.back()), Ending::kRevoked);
  Request revoke{.id = "00000000000000aa", .kind = Request::Kind::kRevoke};
  revoke.expects = view.document.counter;
  revoke.generation = view.document.current;
  view.requests = {revoke};
  const auto hard = machine.decide(view, view.document.issued_at);
  ASSERT_TRUE(hard.next) << hard.refused.begin()->second;
  EXPECT_EQ(ending_of(hard.next->events.back()), Ending::kRevoked);
}

}  // namespace
}  // namespace tfo::rotation
