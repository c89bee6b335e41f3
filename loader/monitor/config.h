// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bpf/tfo_abi.h"
#include "loader/address.h"

namespace tfo {

using MonitorAddress = ConfigAddress;
/// An address or network that is watched.
using MonitorPrefix = ClientNetwork;

/// So many addresses can be counted one by one: networks of IPv4 that are no wider.
inline constexpr unsigned kWidestCounted = 128 - 18;

/// Addresses that open connections: "tracked" of the section "monitor".
struct TrackedConfig {
  std::string name;
  std::vector<MonitorPrefix> prefixes;  // at least one

  bool operator==(const TrackedConfig&) const = default;
};

/// A network as a whole: "prefixes" of the section "monitor".
struct DeclaredPrefix {
  std::string name;
  MonitorPrefix prefix;
  /// Whether its SYNs pass here; nobody in it sends any (TFO_TARGET_VIP); or only some do.
  tfo_target_kind kind = TFO_TARGET_TRACKED;
  bool each_address = true;  // its addresses are counted one by one
  bool mirror = false;       // seen through a mirror port: the rules ask for ten times the rate

  bool operator==(const DeclaredPrefix&) const = default;
};

/// The section "monitor".
struct MonitorConfig {
  bool vips = true;  // the VIPs' addresses are watched
  std::vector<TrackedConfig> tracked;
  std::vector<DeclaredPrefix> prefixes;
  std::optional<uint32_t> bloom_lines;  // a power of two; none: MapSizes::kBloomLines

  bool operator==(const MonitorConfig&) const = default;
};

/// What the SYN-ACK monitor needs of a set of maps.
struct MonitorRoom {
  size_t subjects = 0;        // 0: nothing is monitored
  uint32_t bloom_lines = 0;   // of each filter, a power of two; 0: nobody's SYNs are remembered
  bool each_address = false;  // addresses of declared prefixes are counted
};

}  // namespace tfo
