// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "loader/alert/engine.h"
#include "loader/capture/link.h"
#include "loader/config.h"
#include "loader/dataplane/egress_skeleton.h"
#include "loader/monitor/monitor.h"
#include "loader/replay/description.h"
#include "loader/replay/passing_syns.h"

namespace tfo {

/// Since when (unix seconds) an alert was how severe.
struct ReplayedSeverity {
  int64_t at = 0;
  Severity severity = Severity::kWarning;
};

/// One alert of a capture, as it was last told.
struct ReplayedAlert {
  alert::Alert alert;
  std::vector<ReplayedSeverity> severities;
  int64_t cleared_at = 0;  // unix seconds; 0: still raised at the end
  std::string why;         // it was cleared
};

/// Networks, by length; few lengths are in use, however many networks.
class WatchedNetworks {
 public:
  void add(const MonitorPrefix& prefix) { by_length_[prefix.length].insert(prefix.address); }
  bool has(const MonitorAddress& address) const;

 private:
  std::map<unsigned, std::set<MonitorAddress>> by_length_;
};

/// The SYN-ACK monitor and the alert engine of a node that is replayed, on the capture's clock. The
/// engine ticks each second of it, as it does live (each fifth where very much is watched).
class ReplayAlarms {
 public:
  static constexpr size_t kMost = 4096;                  // alerts that are kept
  static constexpr uint64_t kQuiet = 1'200'000'000'000;  // ns without a frame: more tell no more

  /// What `config` has watched, by its rules; nullptr: nothing. `maps` have room for it and outlive
  /// it.
  static Result<std::unique_ptr<ReplayAlarms>> open(const MapSet& maps, const Config& config);

  /// The clock comes to `now_ns` (unix time), with the ticks on the way; the first call is when the
  /// monitor begins. The maps' clock is the caller's to set afterwards.
  Result<> run_until(uint64_t now_ns);
  /// The capture's clock was set back: what left before is not known any more.
  void step_back(uint64_t now_ns);
  /// A last tick, so that everything is counted.
  Result<> finish();

  /// Does the frame leave the node? If it does, the egress program has seen it, unless it is a SYN
  /// that was counted where it came in (class PassingSyns). As the capture
  /// marks it (epb_flags, cooked header); if it does not, a frame leaves if its source is watched,
  /// and on an interface to the inside (TFO_MONITOR_INSIDE) if it is not. `whole`: the frame in its
  /// length on the wire; `config`: of the interface.
  Result<bool> leaves(const EthernetFrame& frame, std::span<const uint8_t> whole,
                      const tfo_load_config& config);

  /// In the order in which they were raised.
  const std::vector<ReplayedAlert>& alerts() const { return alerts_; }
  uint64_t alerts_not_kept() const { return not_kept_; }
  /// Who could not be judged at the last tick.
  const alert::Engine& engine() const { return engine_; }
  uint64_t left() const { return left_; }

 private:
  ReplayAlarms(const MapSet& maps, EgressSkeleton egress, const Config& config);
  bool is_outgoing(const EthernetFrame& frame, const std::optional<Flow>& flow,
                   const tfo_load_config& config) const;
  Result<> tick(uint64_t at);
  void take(const alert::Change& change);

  const MapSet& maps_;
  EgressSkeleton egress_;
  int egress_fd_;
  std::unique_ptr<SynAckMonitor> monitor_;
  Config config_;
  WatchedNetworks watched_;
  PassingSyns passing_;
  alert::Engine engine_;
  uint64_t step_;
  std::optional<uint64_t> next_tick_;  // unix ns
  uint32_t since_taken_ = 0;           // frames since samples were taken
  uint64_t left_ = 0;                  // frames that left
  std::vector<ReplayedAlert> alerts_;
  std::map<std::string, size_t> raised_;  // id -> place in alerts_
  uint64_t not_kept_ = 0;
};

}  // namespace tfo
