// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "loader/keys/ring.h"
#include "loader/result.h"

namespace tfo {

/// A place where a ring takes effect: the BPF maps, or one namespace's tcp_fastopen_key.
class KeySink {
 public:
  /// Validators accept cookies, servers also mint them. All validators of a pool take a ring before
  /// the first server does.
  enum class Role { validator, server };

  virtual ~KeySink() = default;

  virtual Role role() const = 0;

  /// For messages and conditions: "bpf", "netns blue".
  virtual std::string name() const = 0;

  /// Puts the ring in force. Success means that it was read back, or cannot be otherwise. Called
  /// again with the same ring after a failure, and harmless then. Times in the ring are unix
  /// seconds of the wall clock as it is at the moment of the call. The error names the sink.
  virtual Result<> apply(const KeyRing& ring) = 0;

  /// Is the ring that apply() took still in force? An error says who differs, by fingerprints.
  virtual Result<> verify(const KeyRing& ring) {
    (void)ring;
    return {};
  }

  /// The keys that are in force there now, primary first, ours or not; empty: none.
  virtual Result<std::vector<Key>> held() { return std::vector<Key>(); }

  /// The place itself has vanished (a deleted namespace): it mints and refuses nothing any more,
  /// so no rotation waits for it.
  virtual bool gone() const { return false; }
};

}  // namespace tfo
