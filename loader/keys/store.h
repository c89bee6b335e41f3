// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "loader/keys/clock.h"
#include "loader/keys/ring.h"
#include "loader/result.h"

namespace tfo {

namespace rotation {
class EtcdStore;
}

/// What this node's sinks have taken: a local store waits for it between two phases, a farm-wide
/// one publishes it as the node's acknowledgement.
struct Confirmation {
  uint64_t revision = 0;             ///< of the ring that was applied
  std::vector<std::string> missing;  ///< names of the sinks that did not take it
  /// Names of sinks that took it and hold something else by now, or that somebody keeps changing.
  std::vector<std::string> changed = {};

  /// They have all taken it.
  bool covers(const KeyRing& ring) const { return revision == ring.revision && missing.empty(); }
};

/// Something that a store found wrong and goes on with.
struct StoreTrouble {
  std::string id;        ///< of a condition, e.g. "clock_unsure"
  std::string evidence;  ///< no secrets; empty: it is not so (any more)
};

/// Where a pool's keys come from, and who decides when they change. Nothing that a store hands out
/// can be lost by a crash: what ring() shows after a successful step has been made durable before.
///
/// The owner applies ring() to its sinks whenever its revision has changed, tells the store by
/// step() and repeats that until step() has nothing more to do. Not thread-safe.
class KeyStore {
 public:
  virtual ~KeyStore() = default;

  /// For status: "file", "derived", "etcd".
  virtual std::string kind() const = 0;

  /// Loads the keys, or makes the first ones. `host` are the keys that the servers hold already
  /// (primary, backup; empty: none, or they differ): a store that has no keys yet may begin with
  /// them, so that no cookie out there is refused. Called once, before everything else.
  virtual Result<> open(const Moment& now, const std::vector<Key>& host) = 0;

  /// Takes back what open() made (new keys, a file for them), for a start that failed before any
  /// sink was given a key. Keys that open() found stay. Nothing but destruction follows.
  virtual void abandon() {}

  /// The ring to be in force.
  virtual const KeyRing& ring() const = 0;

  /// Does what is due at `now`. True: there is a new ring, apply it and call again. An error (disk
  /// full, store unreachable) leaves the keys as they are, unless the farm's keys change without
  /// this node (derived); it is tried again at the next call.
  virtual Result<bool> step(const Moment& now, const Confirmation& confirmed) = 0;

  /// Begins a rotation now, or asks the farm for one (see rotates_alone()).
  virtual Result<> rotate(const Moment& now) = 0;

  /// Takes these keys: the first becomes current, the second previous, the others retired.
  virtual Result<> import(const Moment& now, const std::vector<Key>& keys) = 0;

  /// When step() has something to do on its own account; nothing: only after a confirmation.
  virtual std::optional<int64_t> next_wakeup() const = 0;

  /// When the next rotation begins by itself, for status; nothing: by command only.
  virtual std::optional<int64_t> next_rotation() const = 0;

  /// Does a change of keys wait until all sinks took the one before? If not, a sink that fails is
  /// behind the others, and holds nothing up.
  virtual bool waits_for_sinks() const { return true; }

  /// Does this node carry a rotation through by itself? If not, rotate() has nothing to show for it
  /// when it returns.
  virtual bool rotates_alone() const { return true; }

  /// Every trouble that this store knows of, raised or not.
  virtual std::vector<StoreTrouble> troubles() const { return {}; }

  /// Becomes readable when step() should be called before next_wakeup(); -1: never.
  virtual int event_fd() const { return -1; }

  /// The store as a farm's, with all that only those know; null: it is none.
  virtual rotation::EtcdStore* farm() { return nullptr; }
};

}  // namespace tfo
