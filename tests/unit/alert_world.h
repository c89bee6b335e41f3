// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "loader/alert/engine.h"

namespace tfo::alert::test {

/// A subject whose counters grow at a rate.
struct Flow {
  Sample sample;
  double rate = 0;        // a second
  double total_rate = 0;  // likewise
  double count = 0;
  double total = 0;
};

/// An engine whose clock and counters the test moves.
struct World {
  explicit World(std::vector<Rule> rules = default_rules()) : engine(std::move(rules)) {}

  Flow& flow(const std::string& rule, const std::string& subject) {
    Flow& one = flows[{rule, subject}];
    one.sample.rule = rule;
    one.sample.subject = subject;
    return one;
  }

  /// Runs for so many seconds, one tick each; the changes but for renewed evidence.
  std::vector<std::string> run(int seconds) {
    std::vector<std::string> told;
    for (int i = 0; i < seconds; ++i) {
      now.steady_ms += 1000;
      now.unix_s += 1;
      std::ranges::move(tick(1), std::back_inserter(told));
    }
    return told;
  }

  /// One tick now, in which so many seconds' worth was counted.
  std::vector<std::string> tick(double seconds) {
    std::vector<Sample> samples;
    for (auto& [key, one] : flows) {
      one.count += one.rate * seconds;
      one.total += one.total_rate * seconds;
      one.sample.count = static_cast<uint64_t>(one.count);
      one.sample.bytes = one.sample.count * 60;
      one.sample.total = static_cast<uint64_t>(one.total);
      samples.push_back(one.sample);
    }
    std::vector<std::string> told;
    for (Change& change : engine.tick(now, samples, states)) {
      if (change.what == Change::What::kEvidence) {
        ++renewed;
      } else {
        told.push_back(std::string(to_string(change.what)) + " " + change.alert.id() + " " +
                       std::string(to_string(change.alert.severity)));
      }
      last = std::move(change);
    }
    return told;
  }

  Engine engine;
  Instant now{.steady_ms = 5'000'000, .unix_s = 1'700'000'000};
  std::map<std::pair<std::string, std::string>, Flow> flows;
  std::vector<State> states;
  Change last;
  int renewed = 0;
};

using Told = std::vector<std::string>;

}  // namespace tfo::alert::test
