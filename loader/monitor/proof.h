// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>

#include "bpf/tfo_abi.h"

namespace tfo {

/// May a tracked subject raise an alarm? Not before its SYNs were remembered for as long as they
/// are answered, and not unless it is shown that they are seen to leave: another program before
/// ours that rewrites them, or ends the chain, would turn every answer into an attack.
class TrackingProof {
 public:
  static constexpr std::chrono::seconds kWarmUp{138};  // a SYN is remembered for at least 137 s
  static constexpr std::chrono::seconds kMemory{600};
  static constexpr uint64_t kAnswers = 20;      // within kMemory
  static constexpr uint64_t kBlindShare = 100;  // less than one in so many

  /// `since`: the subject is watched, or its egress program was away until then. Boot time.
  explicit TrackingProof(std::chrono::nanoseconds since) : since_(since) {}

  /// The counters as they stand; every second or so.
  void see(std::chrono::nanoseconds now, const tfo_monitor_counters& counters);
  /// Warm-up begins again: SYNs may have left unseen until now.
  void restart(std::chrono::nanoseconds now) {
    since_ = now;
    restarted_ = true;
  }

  /// `asked`: sockets are asked, so that connections from before the start are known; not those of
  /// an address that came here later, or whose sockets were closed while nobody remembered SYNs.
  bool warm(std::chrono::nanoseconds now, bool asked) const {
    return (asked && !restarted_) || now - since_ >= kWarmUp;
  }
  bool proven() const { return proven_; }
  /// Not proven, and more than idle: a socket waited for an answer whose SYN was not seen, most of
  /// the SYNs that left were not answered, or SYN-ACKs come though none is an answer. `usual`: so
  /// many of these come a second anyway.
  bool doubtful(double usual) const;
  /// SYN-ACKs to remembered SYNs, and to sockets whose SYNs were not seen, within kMemory.
  uint64_t answered() const { return answered_; }
  uint64_t blind() const { return blind_; }

 private:
  struct Mark {
    std::chrono::nanoseconds at;
    uint64_t answered;
    uint64_t blind;
    uint64_t syns;
    uint64_t strangers;  // SYN-ACKs that answer nothing
  };
  static constexpr std::chrono::seconds kStep{10};
  std::chrono::nanoseconds since_;
  std::deque<Mark> marks_;  // one in kStep, and the newest that is older than kMemory
  uint64_t answered_ = 0;
  uint64_t blind_ = 0;
  uint64_t syns_ = 0;
  uint64_t strangers_ = 0;
  bool proven_ = false;
  bool restarted_ = false;
};

/// The SYN-ACKs of a prefix beyond one for each SYN that left, over the last 10 s: at least so many
/// answer none. What left on other nodes comes to their counters; sums over nodes are right.
class Excess {
 public:
  static constexpr std::chrono::seconds kWindow{10};

  /// Both since the beginning; every second or so.
  void see(std::chrono::nanoseconds now, uint64_t syn_acks, uint64_t syns);
  /// Only grows: packets.
  uint64_t total() const { return static_cast<uint64_t>(total_); }

 private:
  struct Mark {
    std::chrono::nanoseconds at;
    uint64_t syn_acks;
    uint64_t syns;
  };
  std::deque<Mark> marks_;
  double total_ = 0;
};

/// SYN-ACKs that SYNs of the last seconds explain. Whoever was sent one SYN may answer it as often
/// as he likes, and what that adds must not make an attack on others a small share.
class Explained {
 public:
  static constexpr double kAnswers = 2;               // to a SYN: one, and one that is sent again
  static constexpr std::chrono::seconds kMemory{10};  // for which a SYN explains, on average

  /// Both since the beginning; every second or so.
  void see(std::chrono::nanoseconds now, uint64_t answers, uint64_t syns);
  /// Only grows: packets since the first look.
  uint64_t total() const { return static_cast<uint64_t>(total_); }

 private:
  bool begun_ = false;
  std::chrono::nanoseconds at_{};
  uint64_t answers_ = 0;
  uint64_t syns_ = 0;
  double expected_ = 0;  // answers
  double total_ = 0;
};

/// Grows by differences of counters that are read one after another: what one has already and the
/// other not yet never makes it go back, and does not add up.
class Growth {
 public:
  /// `jitter`: so much of `by` may come back with the next ones.
  void add(int64_t by, uint64_t jitter) {
    raw_ = std::max(raw_ + by, static_cast<int64_t>(total_) - static_cast<int64_t>(jitter));
    total_ = std::max(total_, static_cast<uint64_t>(std::max<int64_t>(raw_, 0)));
  }
  uint64_t total() const { return total_; }

 private:
  int64_t raw_ = 0;
  uint64_t total_ = 0;
};

}  // namespace tfo
