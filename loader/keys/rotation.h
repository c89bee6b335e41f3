// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "loader/keys/clock.h"
#include "loader/keys/ring.h"
#include "loader/result.h"

namespace tfo {

/// How one pool's keys live. Durations in seconds.
struct RotationPolicy {
  static constexpr int64_t kDay = 86400;
  static constexpr int64_t kMaxNotAfter = 7 * kDay;
  static constexpr unsigned kMaxAccepted = 13;

  int64_t interval = kDay;          ///< 0 = by command only
  unsigned accept_generations = 4;  ///< retired ones kept besides current, previous, staged; 0..13
  /// From a generation's making until nobody accepts it any more; 0 = for ever. What is in the
  /// servers' slots is extended as long as somebody is here to rotate it, since the kernel has no
  /// such limit: so this is also the time for which validators go on without this process.
  int64_t not_after = 3 * kDay;

  /// Three intervals, at most seven days; none where the interval is 0.
  static int64_t default_not_after(int64_t interval);

  /// An error names the field and its range. not_after: 0 if interval is 0, else 2 s to 7 days.
  Result<> check() const;
};

/// A pair of clock readings that belong together, kept with the keys: the measure of how much time
/// has really passed, whatever the wall clock was set to meanwhile.
struct TimeAnchor {
  int64_t unix_s = 0;
  int64_t boot_s = 0;
  std::string boot_id;
};

/// All that a local rotation remembers.
struct RotationState {
  KeyRing ring;
  int64_t rotated_at = 0;  ///< unix seconds: when the last rotation was complete
  /// After an import, until its rotation is complete: the ids of the imported generations in the
  /// order asked for (current, previous, retired...). Empty otherwise.
  std::vector<uint64_t> import_order;
  TimeAnchor anchor;
};

/// What may be renewed while a rotation of the kind below stands where it stands: in steady to the
/// servers' backup key, which has the server hand out a fresh cookie too, in between to the one key
/// that servers before and after the change hold.
Renewal local_renewal(const KeyRing& ring);

/// The rotation of one node's keys over any number of sinks: steady -> staged -> minting -> steady.
/// Pure: no clock, file or sink; every function takes a state and returns the next one, which the
/// caller makes durable before it applies it. A crash between any two of these steps continues
/// from the state that was made durable.
///
///   steady   servers "cur,prev"
///   staged   servers "cur,new": all must accept the new key before anybody mints with it
///   minting  servers "new,cur": all must mint with it before the next rotation may begin
///
/// At every instant all servers have a key in common, and nobody mints what another one refuses.
class Rotation {
 public:
  using KeyMaker = std::function<Key()>;

  explicit Rotation(RotationPolicy policy, KeyMaker make_key = Key::random)
      : policy_(policy), make_key_(std::move(make_key)) {}

  const RotationPolicy& policy() const { return policy_; }

  /// The first ring: these keys (first current, second previous, others retired), or a random one.
  Result<RotationState> first(const Moment& now, const std::vector<Key>& keys) const;

  /// A state read back after a restart: times moved to today's wall clock where that was set back,
  /// policy changes applied, and the current key, which the servers mint with, kept alive however
  /// long nobody was here to rotate it.
  RotationState reopened(RotationState state, const Moment& now) const;

  /// What time alone does; safe to lose, it would be worked out again. Follows steps of the wall
  /// clock (a key's age counts on the boot clock: setting the clock rotates and expires nothing),
  /// drops generations past their not_after, and extends those in the servers' slots while a
  /// rotation is held. True if the ring changed.
  bool maintain(RotationState& state, const Moment& now) const;

  /// The next phase, if `confirmed` (the present ring is in force in every sink) and the time let
  /// it begin. However much is overdue, one rotation makes up for all.
  std::optional<RotationState> advance(const RotationState& state, const Moment& now,
                                       bool confirmed) const;

  /// A rotation by command. Refused while another one is under way.
  Result<RotationState> rotate(const RotationState& state, const Moment& now) const;

  /// Keys from elsewhere: first current, second previous, others retired; those of before become
  /// retired. Goes the two-phase way too. Refused while an interval is set (this node would rotate
  /// away from the others) and while a rotation is in its minting phase.
  Result<RotationState> import(const RotationState& state, const Moment& now,
                               const std::vector<Key>& keys) const;

  std::optional<int64_t> next_rotation(const RotationState& state) const;
  /// The next moment at which maintain() or advance() has something to do by itself.
  std::optional<int64_t> next_wakeup(const RotationState& state) const;

 private:
  Generation make(int64_t now, const Key& key, tfo_place place) const;
  static RotationState stage(RotationState state, const Generation& next);
  static void arrange(KeyRing& ring, const std::vector<uint64_t>& order);
  Result<> check_keys(const std::vector<Key>& keys) const;
  RotationState settle(RotationState state, int64_t now) const;
  bool drop_expired(KeyRing& ring, int64_t now) const;
  bool extend_slots(KeyRing& ring, int64_t now) const;
  void apply_policy(KeyRing& ring, int64_t now) const;
  void trim(KeyRing& ring) const;
  int64_t span() const;

  RotationPolicy policy_;
  KeyMaker make_key_;
};

}  // namespace tfo
