// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/tfo_abi.h"

namespace tfo {

/// What came to all subjects of one kind since the monitor was opened.
struct MonitorKind {
  tfo_tally unsolicited[2][2] = {};  // [Fast Open option][payload]
  uint64_t resets = 0;
  uint64_t answered = 0;
  uint64_t reflectors = 0;  // of the subject that has most, lately
};

inline constexpr std::array<tfo_target_kind, 3> kMonitorKinds = {TFO_TARGET_VIP, TFO_TARGET_TRACKED,
                                                                 TFO_TARGET_ASYMMETRIC};

/// "vip", "tracked" or "asymmetric".
constexpr std::string_view monitor_kind_label(tfo_target_kind kind) {
  return kind == TFO_TARGET_VIP ? "vip" : kind == TFO_TARGET_TRACKED ? "tracked" : "asymmetric";
}

/// Sums that only grow, whatever is watched.
struct MonitorTotals {
  std::array<MonitorKind, kMonitorKinds.size()> kinds = {};  // as kMonitorKinds
  uint64_t samples = 0;
  uint64_t samples_lost = 0;
};

/// One who is watched. Counters are those of the maps.
struct MonitorSubjectView {
  std::string name;
  tfo_target_kind kind = TFO_TARGET_VIP;
  bool each_address = false;
  std::string readiness = {};  // "ready", "not_warm", "unproven"
  std::string why = {};        // it is not ready, or judged less strictly
  uint64_t unsolicited = 0;
  uint64_t bytes = 0;  // of them
  uint64_t resets = 0;
  uint64_t answered = 0;
  uint64_t syns_out = 0;
  uint64_t reflectors = 0;  // lately
};

/// The SYN-ACK monitor as it was last read.
struct MonitorView {
  std::vector<MonitorSubjectView> subjects;  // by name
  MonitorTotals totals;
  bool tracks = false;     // SYNs are remembered
  double false_match = 0;  // chance that a SYN-ACK that answers none is taken for an answer
  bool saturated_main = false;
  bool saturated_heavy = false;
};

}  // namespace tfo
