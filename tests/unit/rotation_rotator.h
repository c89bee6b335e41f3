// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "loader/rotation/machine.h"
#include "tests/unit/rotation_world.h"

namespace tfo::rotation {

inline constexpr Policy kPolicy{.interval = 1000,
                                .accept_generations = 2,
                                .not_after = 3000,
                                .deadline = 60,
                                .go_on_at_deadline = true,
                                .forget_after = 5000};

/// Two servers and a balancer in a farm that stands at `view.document`.
class Rotator : public testing::Test {
 protected:
  explicit Rotator(Policy policy = kPolicy) : machine_(policy, "s1", Key::random) {
    place(State::kSteady);
    for (const std::string name : {"s1", "s2", "lb1"}) {
      view_.members[name] = {.node = name, .balancer = name == "lb1", .server = name != "lb1"};
      view_.live.insert(name);
      view_.silent_for[name] = 0;
      view_.clock_offsets[name] = 0;
    }
    all_ack();
  }

  void place(State state) {
    view_.document = document(state);
    for (FarmGeneration& one : view_.document.generations) one.not_after = kNow + 2000;
  }

  void ack(const std::string& node) {
    Ack made;
    made.node = node;
    made.counter = view_.document.counter;
    made.hash = hash_of(view_.document);
    made.balancer = made.renews = node == "lb1";
    made.opens = {1, 2};
    view_.acks[node] = made;
  }
  void all_ack() {
    for (const auto& [node, member] : view_.members) ack(node);
  }

  Request& ask(Request::Kind kind) {
    Request request;
    request.id = id_text(view_.requests.size() + 1);
    request.kind = kind;
    request.expects = view_.document.counter;
    view_.requests.push_back(request);
    return view_.requests.back();
  }

  Decision decide(int64_t later = 0) {
    Decision decision = machine_.decide(view_, kNow + later);
    if (decision.next) {
      const auto good = decision.next->check();
      EXPECT_TRUE(good) << good.error().message;
      EXPECT_EQ(decision.next->counter.sequence, view_.document.counter.sequence + 1);
      EXPECT_GE(decision.next->issued_at, view_.document.issued_at);
      EXPECT_TRUE(ring_of(*decision.next, 1, kNow + later, 0).check());
    }
    return decision;
  }

  /// What the machine makes of it, if it writes anything.
  Document next(int64_t later = 0) {
    Decision decision = decide(later);
    EXPECT_TRUE(decision.next);
    return decision.next.value_or(view_.document);
  }

  /// Takes the next document, acknowledged by all.
  void take(int64_t later = 0) {
    view_.document = next(later);
    view_.requests.clear();
    all_ack();
  }

  std::string refusal() {
    const Decision decision = decide();
    return decision.refused.empty() ? "" : decision.refused.begin()->second;
  }

  FarmView view_;
  Machine machine_;
};

}  // namespace tfo::rotation
