// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "loader/keys/clock.h"
#include "loader/keys/drift.h"
#include "loader/keys/ring.h"
#include "loader/observe/conditions.h"
#include "loader/result.h"

namespace tfo {

/// Bits of net.ipv4.tcp_fastopen (Documentation/networking/ip-sysctl.rst, tcp_fastopen).
inline constexpr unsigned kFastopenServer = 0x2;
inline constexpr unsigned kFastopenNoCookie = 0x200;
inline constexpr unsigned kFastopenEveryListener = 0x400;

/// How a pool stands, for the servers that follow it.
struct PoolKeys {
  const KeyRing* ring = nullptr;  ///< null: the store is not open, nothing is known
  bool in_force = false;          ///< validators and servers have all taken it
  /// The farm counts on this node (EtcdStore::may_open()); keys of other stores are ours alone.
  bool may_open = true;
  /// While it may not: a bit that this tfod's predecessor kept stays as it is.
  bool keeps_bit = false;
};

/// What tcp_fastopen's server bit is to be, and why.
enum class ServerBit {
  on,
  waiting,  ///< off until enable_delay is over: SYN data from before the boot may still be under
            ///< way (RFC 7413 section 6.1, duplicate data)
  expired,  ///< off: every key is past its not_after, cookies under it prove nothing any more
  joining,  ///< off until the farm counts on this node: others must know what it holds before it
            ///< mints
  foreign,  ///< off: it would mint cookies under a key that nobody else of the farm knows
  unknown,  ///< left as it is
};

/// "on", "waiting", "joining", "expired", "foreign_key", "unknown".
std::string_view to_string(ServerBit bit);

/// `held`: asks what the namespace holds; called only where it matters. Keys that are not (yet) in
/// force, and a farm that does not (yet) count on a node that served it a moment ago, leave the bit
/// as it is as long as the namespace mints under a key of the ring.
ServerBit wanted_server_bit(const PoolKeys& keys, const Moment& now, bool delay_over,
                            const std::function<Result<std::vector<Key>>()>& held);

/// Keeps the server bit of one namespace, and nothing but that bit.
class ServerBitKeeper {
 public:
  /// How to get at net.ipv4.tcp_fastopen.
  struct Sysctl {
    std::string label;  ///< of the namespace
    std::function<Result<unsigned>()> read;
    std::function<Result<>(unsigned)> write;
  };

  /// Raises and clears server_off, server_bit_failed, server_bit_drift, server_bit_repaired and
  /// server_bit_fight of the label. While the bit is off against the operator's will, the log says
  /// so every minute.
  void keep(const Sysctl& sysctl, ServerBit wanted, OnDrift on_drift, const Moment& now,
            Conditions& conditions);

  ServerBit wanted() const { return wanted_; }
  uint64_t repairs() const { return repairs_.total(); }

  /// Seconds between two lines of the log.
  static constexpr int64_t kRepeat = 60;

 private:
  Result<> set(const Sysctl& sysctl, bool on, const Moment& now);
  void say_off(const Sysctl& sysctl, const Moment& now, Conditions& conditions);

  ServerBit wanted_ = ServerBit::unknown;
  std::optional<bool> ours_;  // what it was when we had last put or found it right
  bool drifted_ = false;
  RepairLog repairs_;
  std::optional<int64_t> said_at_;  // boot seconds
};

}  // namespace tfo
