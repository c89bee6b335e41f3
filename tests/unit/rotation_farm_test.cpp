// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/rotation_farm.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <unordered_set>

namespace tfo::rotation {
namespace {

/// Every order of everything within the limits, up to `most` states, nearest first. The first
/// violation, or "".
struct Search {
  size_t states = 0;
  bool complete = false;
  std::string violation;
};

Search search(const Limits& limits, size_t most, const Mutant* mutant = nullptr) {
  Search result;
  std::unordered_set<std::string> known;
  std::deque<std::pair<Farm, std::string>> open;
  open.emplace_back(Farm(limits, mutant), "");
  known.insert(open.front().first.key());
  while (!open.empty() && result.states < most) {
    const auto [farm, path] = std::move(open.front());
    open.pop_front();
    ++result.states;
    for (const Action& action : farm.enabled()) {
      Farm next = farm;
      next.apply(action);
      const std::string way = path + " " + to_string(action);
      if (!next.violation().empty()) {
        result.violation = next.violation() + " after" + way;
        return result;
      }
      if (known.insert(next.key()).second) open.emplace_back(std::move(next), way);
    }
    if (result.states % 8 != 0) continue;
    Farm healed = farm;
    healed.finish();
    if (!healed.violation().empty()) {
      result.violation = healed.violation() + " healed after" + path;
      return result;
    }
  }
  result.complete = open.empty();
  return result;
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

TEST(RotationFarm, Probe) {
  const Search found = search({.rotations = 2, .aborts = 1, .partitions = 1}, 3000);
  std::printf("%zu states, complete %d\n", found.states, found.complete);
  EXPECT_EQ(found.violation, "");
  Limits limits{.rotations = 3,
                .aborts = 2,
                .revokes = 0,
                .partitions = 2,
                .deaths = 1,
                .days = 1,
                .restores = 0,
                .joins = 1,
                .fine = true};
  for (uint64_t seed = 1; seed < 100; ++seed) {
    EXPECT_EQ(walk(limits, seed, 200), "") << seed;
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace tfo::rotation
