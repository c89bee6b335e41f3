// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <string>

namespace tfo {

/// What is done about a value of the kernel that somebody else changed after us.
enum class OnDrift {
  repair,  ///< written again at once, and said
  report,  ///< left as it is and said; the next change of the keys writes it again
};

/// How often one value had to be written again. Times are seconds of one steady clock.
class RepairLog {
 public:
  /// A repair is shown so long after the last one: long enough to be seen by who looks now and
  /// then, and by every scrape.
  static constexpr int64_t kShown = 600;
  /// So many within so long are no slip but another program that keeps writing.
  static constexpr size_t kFight = 3;
  static constexpr int64_t kFightWindow = 300;

  void note(int64_t now);
  uint64_t total() const { return total_; }

  bool shown(int64_t now) const;
  bool fight(int64_t now) const;

  /// For the conditions: empty, or `what` was found wrong with how often it was mended.
  std::string repaired_evidence(int64_t now, const std::string& what) const;
  std::string fight_evidence(int64_t now, const std::string& what) const;

 private:
  size_t recent(int64_t now) const;
  std::deque<int64_t> times_;  // the last kFight of them
  uint64_t total_ = 0;
};

}  // namespace tfo
