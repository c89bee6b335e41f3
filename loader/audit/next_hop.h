// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "loader/audit/address.h"
#include "loader/result.h"

namespace tfo::audit {

/// Where a frame has to go to reach one neighbour.
struct NextHop {
  int interface = 0;             ///< index of the interface
  std::vector<uint8_t> address;  ///< its link-layer address; empty where the device has none (tun)
  bool resolved = true;          ///< false: it answers neither ARP nor neighbour discovery
};

/// The neighbour `address` by this host's routing and neighbour tables (rtnetlink: RTM_GETROUTE,
/// RTM_GETNEIGH). One that is not known yet is resolved by the kernel (RTM_NEWNEIGH with NTF_USE,
/// needs CAP_NET_ADMIN), for at most `patience`. An error if it is this host itself or lies behind
/// a gateway: frames cannot be sent to it.
Result<NextHop> find_next_hop(const Address& address, std::chrono::milliseconds patience);

}  // namespace tfo::audit
