// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/tfo_abi.h"
#include "loader/keys/key.h"
#include "loader/keys/secret.h"
#include "loader/result.h"

namespace tfo {

/// Where a rotation stands. Every change reaches the validators before the servers, and the next
/// phase begins only when the one before is in force everywhere: a key is accepted by all before
/// anybody mints cookies with it.
enum class Phase {
  steady,   ///< servers hold "current,previous"
  prepare,  ///< servers as in steady, validators know the staged key already (farm-wide stores)
  staged,   ///< servers change to "current,staged": all accept the new key, nobody mints with it
  minting,  ///< servers change to "new,old": the staged key has become current
};

/// "steady", "prepare", "staged", "minting"; and back.
std::string_view to_string(Phase phase);
std::optional<Phase> phase_from(std::string_view name);

/// "current", "previous", "staged", "retired", "revoked"; and back.
std::string_view to_string(tfo_place place);
std::optional<tfo_place> place_from(std::string_view name);

/// One key and its life.
struct Generation {
  uint64_t id = 0;  ///< random, never 0; not secret; names the generation for its whole life
  Key key;
  tfo_place place = TFO_PLACE_CURRENT;
  int64_t created_at = 0;  ///< unix seconds
  int64_t not_after = 0;   ///< unix seconds; from then on nobody accepts it; 0 = no such moment
};

/// An id as it is shown and stored: 16 hex digits.
std::string id_text(uint64_t id);

/// What a validator may do with a cookie that some server would refuse: rewrite it to the cookie
/// under a key that every server is known to hold.
struct Renewal {
  uint64_t target = 0;         ///< id of the generation to renew to; 0: nothing is renewed
  std::vector<uint64_t> held;  ///< ids that all servers hold, target included: left as they are
  int64_t until = 0;           ///< unix seconds up to which that is known; 0 = no such moment

  bool operator==(const Renewal&) const = default;
};

/// The keys of one pool, as every sink gets them.
struct KeyRing {
  /// Raised by every change, so that it is known which ring a sink has taken. Meaningful within
  /// one run of one store.
  uint64_t revision = 0;
  Phase phase = Phase::steady;
  /// In the order in which the validator tries them: current, previous, staged, retired (newest
  /// first), revoked.
  std::vector<Generation> generations;
  /// Concerns every generation that is accepted (not revoked) and not in renewal.held.
  Renewal renewal;
  /// Unix seconds up to which no other key can be in use that is not here; 0 = no such moment,
  /// since nobody else changes this ring. Past it no cookie is demoted or dropped for being
  /// unknown.
  int64_t fresh_until = 0;

  const Generation* find(tfo_place place) const;  ///< the first one at that place, or null
  const Generation* find(uint64_t id) const;
  const Generation* find(const Key& key) const;
  const Generation* current() const { return find(TFO_PLACE_CURRENT); }
  const Generation* previous() const { return find(TFO_PLACE_PREVIOUS); }
  const Generation* staged() const { return find(TFO_PLACE_STAGED); }

  /// What the servers' backup slot holds in this phase, or null: the staged key, else previous.
  const Generation* backup() const;

  /// "primary,backup" or "primary", as written to tcp_fastopen_key (at most 71 characters; the
  /// kernel cuts what is longer than 73). Empty if there is no current key. Secret!
  Secret sysctl_value() const;

  /// Puts the generations into the order above; those of one place keep theirs.
  void sort();

  /// Exactly one current key, at most one previous and one staged, in order, at most
  /// TFO_MAX_GENERATIONS in all, ids set and unique, no key twice, no all-zero key (a host that
  /// has no key reads as all zero, so that such a key would be everybody's).
  Result<> check() const;
};

}  // namespace tfo
