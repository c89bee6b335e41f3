// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "loader/audit/next_hop.h"
#include "loader/audit/packet.h"
#include "loader/dataplane/fd.h"
#include "loader/result.h"

namespace tfo::audit {

/// The address that this host would send from to reach `destination`. An error if no route leads
/// there.
Result<Address> source_towards(const Address& destination);

/// A TCP port of this host that nobody else gets as long as this lives: bound, neither listening
/// nor connected, so that the kernel answers what comes in for it as for a closed port.
class ReservedPort {
 public:
  /// The kernel chooses the port, at random (inet_csk_find_open_port). An error if `source` is no
  /// address of this host.
  static Result<ReservedPort> reserve(const Address& source);
  uint16_t number() const { return number_; }

 private:
  Fd socket_;
  uint16_t number_ = 0;
};

/// Sends an IP packet that is whole, headers and checksums included: by this host's routing, or in
/// a frame to one next hop whatever the routing says. Needs CAP_NET_RAW. 0 or an errno value.
int send_packet(std::span<const uint8_t> packet, const Segment& segment,
                const std::optional<NextHop>& next_hop);

}  // namespace tfo::audit
