// SPDX-License-Identifier: BSD-2-Clause
// Is it shown that the SYNs of who is watched are seen to leave?
#include <algorithm>

#include "loader/monitor/monitor.h"

namespace tfo {

/// What leaves a part of a declared prefix is seen to leave the prefix, too.
void SynAckMonitor::see_tracking() {
  for (auto& [name, watched] : watched_) {
    tfo_monitor_counters seen = watched.counters;
    seen.answered += watched.of_parts.answered;
    seen.blind += watched.of_parts.blind;
    watched.proof.see(now(), seen);
  }
}

bool SynAckMonitor::doubtful(const Watched& watched) const {
  if (load_.saturated(TFO_BLOOM_MAIN)) return true;
  if (!load_.saturated(TFO_BLOOM_HEAVY)) return false;
  return std::ranges::any_of(heavy_sources_, [&](const HeavySource& source) {
    return std::ranges::any_of(watched.subject.prefixes, [&](const MonitorPrefix& prefix) {
      return holds(prefix, {.address = source.address});
    });
  });
}

void SynAckMonitor::judge_tracking(const Watched& watched, MonitorReading& reading) const {
  reading.saturated = load_.saturated(TFO_BLOOM_MAIN);
  if (!is_warm(watched)) {
    reading.readiness = MonitorReadiness::kNotWarm;
    reading.why = "SYNs that left before the monitor began may still be answered";
  } else if (!watched.proof.proven()) {
    reading.readiness = MonitorReadiness::kUnproven;
    reading.doubtful = watched.proof.doubtful(usual_background(watched.subject));
    reading.why = reading.doubtful
                      ? "SYNs leave unseen, or not as they were seen: another program at tc egress "
                        "may change or take them"
                      : "fewer than 20 answers to remembered SYNs in 10 minutes";
  }
}

}  // namespace tfo
