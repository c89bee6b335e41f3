// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/rotation_farm.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>
#include <unordered_set>

namespace tfo::rotation {
namespace {

struct Search {
  size_t states = 0;
  bool complete = false;  ///< there are no more
  std::string violation;  ///< the first one, with the way there; or ""
};

/// Every order of everything within the limits, nearest first, up to `most` states.
class Searcher {
 public:
  Searcher(const Limits& limits, const Mutant* mutant) {
    known_.insert(Farm(limits, mutant).key());
    open_.push_back({Farm(limits, mutant), nullptr});
  }

  Search search(size_t most) {
    while (!open_.empty() && result_.states < most && result_.violation.empty()) {
      const Reached reached = std::move(open_.front());
      open_.pop_front();
      expand(reached, ++result_.states % kHealEvery == 0);
    }
    result_.complete = open_.empty();
    return result_;
  }

 private:
  static constexpr size_t kHealEvery = 8;
  struct Way {
    std::shared_ptr<const Way> before;
    Action action;
  };
  struct Reached {
    Farm farm;
    std::shared_ptr<const Way> way;
  };

  static std::string text(const std::shared_ptr<const Way>& way) {
    return way == nullptr ? "" : text(way->before) + " " + to_string(way->action);
  }

  void expand(const Reached& reached, bool heal) {
    for (const Action& action : reached.farm.enabled()) {
      Farm next = reached.farm;
      next.apply(action);
      const auto way = std::make_shared<const Way>(Way{.before = reached.way, .action = action});
      if (!next.violation().empty()) {
        result_.violation = next.violation() + " after" + text(way);
        return;
      }
      if (known_.insert(next.key()).second) open_.push_back({std::move(next), way});
    }
    if (!heal) return;
    Farm healed = reached.farm;
    healed.finish();
    if (!healed.violation().empty()) {
      result_.violation = healed.violation() + " healed after" + text(reached.way);
    }
  }

  std::unordered_set<std::string> known_;
  std::deque<Reached> open_;
  Search result_;
};

Search search(const Limits& limits, size_t most, const Mutant* mutant = nullptr) {
  return Searcher(limits, mutant).search(most);
}

std::string walk(const Limits& limits, uint64_t seed, int steps, const Mutant* mutant = nullptr) {
  std::mt19937_64 random(seed);
  Farm farm(limits, mutant);
  std::string path;
  for (int i = 0; i < steps; ++i) {
    const std::vector<Action> all = farm.enabled();
    const Action& action = all.at(random() % all.size());
    path += " " + to_string(action);
    farm.apply(action);
    if (!farm.violation().empty()) return farm.violation() + " after" + path;
  }
  farm.finish();
  return farm.violation().empty() ? "" : farm.violation() + " healed after" + path;
}

/// Walks until one finds something.
std::string walks(const Limits& limits, uint64_t first_seed, int count, int steps,
                  const Mutant* mutant = nullptr) {
  for (int i = 0; i < count; ++i) {
    const uint64_t seed = first_seed + static_cast<uint64_t>(i);
    const std::string found = walk(limits, seed, steps, mutant);
    if (!found.empty()) return fmt::format("seed {}: {}", seed, found);
  }
  return "";
}

/// Printed, so that a failure can be walked again.
uint64_t fresh_seed() {
  const uint64_t seed = std::random_device()();
  std::printf("first seed %llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

/// More in the environment makes a search deeper: it takes about a second for each 2,000 states.
size_t states_to_search(size_t usual) {
  const char* more = std::getenv("TFO_SEARCH_STATES");
  return more == nullptr ? usual : std::max(usual, std::stoul(more));
}

TEST(RotationFarm, EveryOrderWithOneFaultIsSafeAndFinishes) {
  const std::vector<Limits> settings = {
      {.rotations = 2},
      {.rotations = 1, .aborts = 1},
      {.rotations = 1, .partitions = 1},
      {.rotations = 1, .partitions = 1, .go_on = false},
      {.rotations = 1, .deaths = 1},
      {.rotations = 1, .joins = 1},
  };
  for (const Limits& limits : settings) {
    const Search found = search(limits, states_to_search(20'000));
    EXPECT_EQ(found.violation, "");
    EXPECT_TRUE(found.complete);
    std::printf("%zu states\n", found.states);
  }
}

TEST(RotationFarm, WhatIsNearestWithMoreFaultsIsSafeAndFinishes) {
  const std::vector<Limits> settings = {
      {.rotations = 2, .aborts = 1, .partitions = 1, .deaths = 1, .joins = 1},
      {.rotations = 2, .aborts = 2, .partitions = 2},
      {.rotations = 1, .partitions = 1, .deaths = 1, .days = 1},
      {.rotations = 1, .aborts = 1, .revokes = 1, .partitions = 1},
      {.rotations = 1, .partitions = 1, .restores = 1},
  };
  for (const Limits& limits : settings) {
    const Search found = search(limits, states_to_search(1000));
    EXPECT_EQ(found.violation, "");
    std::printf("%zu states%s\n", found.states, found.complete ? ", all" : "");
  }
}

TEST(RotationFarm, WalksThroughEverythingAtOnce) {
  const Limits limits{.rotations = 4,
                      .aborts = 2,
                      .partitions = 3,
                      .deaths = 2,
                      .days = 2,
                      .joins = 1,
                      .fine = true};
  EXPECT_EQ(walks(limits, fresh_seed(), 80, 200), "");
}

TEST(RotationFarm, WalksWithRevocations) {
  const Limits limits{.rotations = 3,
                      .aborts = 1,
                      .revokes = 3,
                      .partitions = 2,
                      .deaths = 1,
                      .days = 1,
                      .joins = 1,
                      .fine = true};
  EXPECT_EQ(walks(limits, fresh_seed(), 80, 200), "");
}

TEST(RotationFarm, WalksWithRestores) {
  const Limits limits{.rotations = 3, .aborts = 1, .partitions = 2, .restores = 2, .fine = true};
  EXPECT_EQ(walks(limits, fresh_seed(), 80, 200), "");
}

TEST(RotationFarm, WalksWithRestoresAndRevocations) {
  const Limits limits{
      .rotations = 3, .aborts = 1, .revokes = 2, .partitions = 2, .restores = 2, .fine = true};
  EXPECT_EQ(walks(limits, fresh_seed(), 80, 200), "");
}

Document steady(Document document, uint64_t current, uint64_t other) {
  document.current = current;
  document.other = other;
  document.next = 0;
  document.aborting = false;
  document.state = State::kSteady;
  return document;
}

void forget_acks(Decision& decision, const FarmView& view) {
  const Document& from = view.document;
  if (from.state == State::kPrepare && from.aborting && !decision.next) {
    decision.next = steady(from, from.current, from.other);
    ++decision.next->counter.sequence;
  }
}

void skip_prepare(Decision& decision, const FarmView& view) {
  if (decision.next && decision.next->state == State::kPrepare &&
      view.document.state == State::kSteady) {
    decision.next->state = State::kStaged;
  }
}

void stop_renewing(Decision& decision, const FarmView&) {
  if (decision.next && decision.next->state == State::kMinting && !decision.waits_for.empty()) {
    decision.next = steady(*decision.next, decision.next->next, decision.next->current);
  }
}

void abort_to_steady(Decision& decision, const FarmView& view) {
  if (decision.next && decision.next->aborting && view.document.state == State::kStaged) {
    decision.next = steady(*decision.next, decision.next->current, decision.next->other);
  }
}

void abort_minting_to_prepare(Decision& decision, const FarmView&) {
  if (decision.next && decision.next->state == State::kUnminting) {
    decision.next->state = State::kPrepare;
  }
}

void stage_unprepared(Decision& decision, const FarmView& view) {
  if (view.document.state == State::kPrepare && !decision.next) {
    decision.next = view.document;
    decision.next->state = State::kStaged;
    ++decision.next->counter.sequence;
  }
}

void only_the_living(FarmView& view) {
  std::erase_if(view.members, [&](const auto& m) { return !view.live.contains(m.first); });
}

/// Each leaves out one rule; what it leads to is found.
TEST(RotationFarm, EveryRuleIsMissedWhenItIsLeftOut) {
  struct Row {
    const char* name;
    Mutant mutant;
    Limits limits;
  };
  const std::vector<Row> rows = {
      {"no prepare", {.decision = skip_prepare}, {.rotations = 1}},
      {"membership by lease", {.view = only_the_living}, {.rotations = 1, .partitions = 1}},
      {"no renewing after the deadline",
       {.decision = stop_renewing},
       {.rotations = 1, .partitions = 1}},
      {"abort without acknowledgements", {.decision = forget_acks}, {.rotations = 1, .aborts = 1}},
      {"abort straight to steady", {.decision = abort_to_steady}, {.rotations = 1, .aborts = 1}},
      {"abort without unminting",
       {.decision = abort_minting_to_prepare},
       {.rotations = 1, .aborts = 1}},
      {"staging without validators", {.decision = stage_unprepared}, {.rotations = 1, .deaths = 1}},
      {"read before register", {.read_before_register = true}, {.rotations = 1, .joins = 1}},
  };
  for (const Row& row : rows) {
    const Search found = search(row.limits, 20'000, &row.mutant);
    EXPECT_NE(found.violation, "") << row.name << ": nothing in " << found.states << " states";
    std::printf("%s: %s\n", row.name, found.violation.c_str());
  }
}

}  // namespace
}  // namespace tfo::rotation
