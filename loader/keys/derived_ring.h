// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "loader/keys/derive.h"
#include "loader/keys/ring.h"
#include "loader/result.h"

namespace tfo {

/// How the keys of a derived pool live. Seconds where nothing else is said.
struct DerivedPolicy {
  static constexpr int64_t kMaxSkewLimit = 3600 * int64_t{1000};

  int64_t interval = 86400;
  /// How wrong the clock of any node may be, in ms, 0 to an hour.
  int64_t max_skew_ms = 5000;
  unsigned accept_generations = 4;  ///< retired ones besides current, previous, staged; 0..13
  int64_t not_after =
      3 * int64_t{86400};  ///< see derived_ring(); at least an interval, at most 7 days

  Result<> check() const;

  /// m = 2 x max_skew + 5 s, rounded up: how far two nodes' clocks and the 2 s after which servers
  /// act can put a server's slots from where our clock says they are.
  int64_t margin() const { return (2 * max_skew_ms + 999) / 1000 + 5; }

  /// Renewal needs moments at which something is known of all servers: m is at most a quarter of
  /// the interval. The error says which max_skew or interval would do.
  Result<> can_renew() const;
};

/// Seconds after an edge or the middle of an interval at which servers change their slots (the
/// rotation daemon tofurkey does it 2.02 s after).
inline constexpr int64_t kDerivedDelay = 2;

/// A derived ring's place in time: which interval is current and in which half of it we are, as
/// servers see it that act kDerivedDelay after each edge and middle. One ring belongs to each.
struct DerivedHalf {
  int64_t index = 0;  ///< of the current interval
  bool second = false;

  static DerivedHalf at(int64_t interval, int64_t unix_s);
  /// The unix time of its edge or middle.
  int64_t begins(int64_t interval) const;
  /// When servers leave it: kDerivedDelay after the next edge or middle.
  int64_t ends(int64_t interval) const;
  friend bool operator==(const DerivedHalf&, const DerivedHalf&) = default;
};

/// The ring of one half interval, a function of secret, policy and half alone:
///
///   first half   phase prepare   slots current, previous   the next key is staged: accepted
///   already second half  phase staged    slots current, staged     the previous key is the first
///   retired one
///
/// and accept_generations retired ones more. Each node counts the same ids for the same keys.
///
/// A generation's not_after is the earlier of two moments: the one at which the rotation drops it
/// (accept_generations decides that, however short the policy's not_after is), and the beginning of
/// this half plus the policy's not_after. So each half that somebody is here to work out puts the
/// end further away, and a ring that nobody renews (the daemon is dead, or lost its secret) is
/// accepted for the policy's not_after and no longer.
///
/// Fails if the secret has no key for the current interval. Without the previous or next one the
/// ring goes without it.
Result<KeyRing> derived_ring(const DerivedSecret& secret, const DerivedPolicy& policy,
                             const DerivedHalf& half);

/// What every server is known to hold at `unix_s`, however wrong the clocks are within max_skew:
/// interval c's key from m after the middle of interval c - 1 until m before the middle of c + 1.
/// The target is the key that is current from m before the middle of its interval until m before
/// the middle of the next one. None (target 0) if can_renew() says no or a key is missing.
Renewal derived_renewal(const DerivedSecret& secret, const DerivedPolicy& policy, int64_t unix_s);

/// The next moment after `unix_s` at which derived_ring() or derived_renewal() changes.
int64_t next_derived_moment(const DerivedPolicy& policy, int64_t unix_s);

/// The id of a derived key: the same on every node, and never 0. Tells nothing of the key.
uint64_t derived_id(const Key& key);

}  // namespace tfo
