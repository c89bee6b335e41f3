// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <nlohmann/json.hpp>

#include "loader/observe/syn_class.h"
#include "loader/observe/view.h"

namespace tfo {

/// Sums over all VIPs of a node. Those of one reading less those of an earlier one are what
/// happened between the two.
struct Tally {
  SynClasses classes{};
  std::array<uint64_t, TFO_ACTION_COUNT> actions{};
  std::array<uint64_t, TFO_OUTCOME_COUNT> outcomes{};
  uint64_t timed = 0;        // handshakes whose time from SYN to ACK is known
  double handshake_ms = 0;   // sum of these times
  uint64_t unsolicited = 0;  // SYN-ACKs that answer no SYN
};

Tally tally_of(const View& view);
/// Member by member; 0 where `before` is more, as when a VIP went with a reload.
Tally difference(const Tally& now, const Tally& before);

/// What happened in the seconds before `at`, and how the guard stood then.
struct HistoryPoint {
  uint64_t number = 0;  // counts up from 1
  int64_t at = 0;       // unix seconds
  double seconds = 0;
  Tally change;
  uint64_t load = 0;     // handshakes that are open
  uint64_t guarded = 0;  // client networks over their limit
};

/// The last ten minutes as the status page draws them: always the same memory.
class History {
 public:
  static constexpr size_t kPoints = 300;
  static constexpr double kStep = 2;  // seconds, at least

  /// Called as often as there is a reading; adds a point when kStep is over.
  void add(const View& view);

  /// What happened in about the last `seconds`; `seconds` of the result tells in how many.
  HistoryPoint recent(double seconds) const;
  /// {step, fields: [name], points: [[number]]}: the last `most` points, oldest first. Counts are
  /// of the `seconds` before `at`.
  nlohmann::json json(size_t most = kPoints) const;
  size_t size() const { return points_.size(); }

 private:
  std::deque<HistoryPoint> points_;
  Tally last_;
  int64_t last_ns_ = 0;  // boot time of last_; 0: there is none
  uint64_t number_ = 0;
};

}  // namespace tfo
