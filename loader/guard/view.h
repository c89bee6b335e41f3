// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tfo {

/// Handshakes that were answered, or not: since the daemon began, or the network was first seen.
struct HandshakeCounts {
  uint64_t opened = 0;      // more than three seconds ago
  uint64_t unanswered = 0;  // of those, within three seconds
  uint64_t reset = 0;       // of those

  uint64_t failed() const { return unanswered + reset; }
};

/// A client network, /24 or /48, that is or was over a limit, or a part of it.
struct GuardNetworkView {
  std::string network;
  HandshakeCounts handshakes;
  bool fresh = false;  // not counted before: all this was before now
};

/// How a VIP's guard stands.
struct GuardVipView {
  std::string vip;
  bool on = true;
  unsigned address_limit = 0;       // of one client address; 0: the servers' queues are not known
  unsigned limit = 0;               // of one client network, /24 or /64; likewise
  unsigned site_limit = 0;          // of one /48; likewise
  unsigned vip_limit = 0;           // of all together; likewise
  uint32_t load = 0;                // of all together
  size_t guarded = 0;               // client networks over their limit
  uint32_t forgotten = 0;           // handshakes that made place for younger ones; wraps
  uint32_t untracked = 0;           // SYNs whose network found no place; wraps
  bool blind = false;               // answers do not come this way: nobody is held to a limit
  bool evaded = false;              // what was opened counts, settled or not
  bool exact = false;               // SYN-ACKs leave through this node: see EgressProof
  HandshakeCounts handshakes = {};  // of all together
  std::vector<GuardNetworkView> networks = {};  // that fail most; at most GuardKeeper::kMostFailing

  /// "on", "off", "off: qlen unknown".
  std::string state() const {
    if (!on) return "off";
    const bool limited = address_limit != 0 || limit != 0 || site_limit != 0 || vip_limit != 0;
    return limited ? "on" : "off: qlen unknown";
  }
};

}  // namespace tfo
