// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "loader/keys/clock.h"
#include "loader/keys/rotation.h"

namespace tfo {

/// Whether a derived pool may act on the wall clock. Keys are a function of it, so a clock that is
/// far off would bring back keys of long ago (a host that boots with an empty battery is in 1970).
/// It is acted on if it is synchronised, or not older than the time that was acted on last.
class ClockTrust {
 public:
  struct Reading {
    int64_t unix_s = 0;  ///< the time to work with: now, or the last one that could be trusted
    bool sure = true;
    /// What our wall clock shows now less what it would show had it not been set: lives of keys go
    /// on by the boot clock while it is not trusted. 0 while it is.
    int64_t shift = 0;
    /// By how much the clock was set since the last reading that was sure; time asleep is no step.
    int64_t step = 0;
  };

  /// What was acted on before this process began.
  void restore(int64_t acted_at) { acted_at_ = acted_at; }
  /// Acted on a reading that was sure.
  void acted(int64_t unix_s) { acted_at_ = unix_s; }
  std::optional<int64_t> acted_at() const { return acted_at_; }

  Reading read(const Moment& now);

 private:
  std::optional<int64_t> acted_at_;
  TimeAnchor anchor_;  ///< of the last reading that was sure
};

/// Cookies under a key that nobody can have minted yet prove that some clock is wrong: a server
/// whose clock is ahead mints with the next key too early, or our clock is behind. Sees growth of
/// the count of such cookies.
class StagedWatch {
 public:
  /// The count over all VIPs of a pool. Counts of different epochs are not comparable.
  struct Count {
    uint64_t epoch = 0;
    uint64_t staged = 0;
  };

  /// Seconds between two looks: a count is a walk over all counters.
  static int64_t period(int64_t interval);
  bool due(int64_t unix_s, int64_t interval) const;

  /// A count taken at `unix_s` while interval `staged`'s key was staged and in force. `earliest` is
  /// when the first honest cookie under it could come.
  void look(const Count& count, int64_t unix_s, int64_t staged, int64_t earliest);
  /// What was counted before means nothing any more.
  void forget() { before_.reset(); }
  /// What a process before this one saw. A time to come (the clock was set) counts as now.
  void restore(uint64_t seen, int64_t grew_at, int64_t unix_s);
  /// Our clock was set to `unix_s`.
  void clock_set(int64_t unix_s);

  /// Grew during the last `quiet` seconds.
  bool suspect(int64_t unix_s, int64_t quiet) const;
  uint64_t seen() const { return seen_; }       ///< cookies, at the last growth
  int64_t grew_at() const { return grew_at_; }  ///< unix seconds; 0: never

 private:
  struct Before {
    Count count;
    int64_t staged;
  };
  std::optional<Before> before_;
  int64_t looked_at_ = 0;
  int64_t grew_at_ = 0;
  uint64_t seen_ = 0;
};

}  // namespace tfo
