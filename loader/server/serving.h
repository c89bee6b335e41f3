// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "loader/config.h"
#include "loader/server/listeners.h"

namespace tfo {

/// What can be filled first in one namespace: the least backlog and the least Fast Open queue of an
/// address and port. Sockets that share those (SO_REUSEPORT) are added up, since the kernel spreads
/// connections over them; only those count that may do Fast Open.
struct LeastQueues {
  uint64_t backlog = 0;                   ///< 0: nobody listens
  std::optional<uint64_t> fast_open = 0;  ///< 0: nobody takes Fast Open; nothing: cannot be seen

  bool operator==(const LeastQueues&) const = default;
};

/// Of all listeners of the report; tidy() has sorted it.
LeastQueues least_queues(const ListenerReport& report);

/// Sets Listener::vips of all listeners of a pool's namespace; tidy() has sorted them.
void count_vips(ListenerReport& report, const std::vector<VipConfig>& vips,
                const std::string& pool);

/// Of those that serve the VIP, each divided by the VIPs that it serves: at each of its addresses
/// and ports (without any: at every port that somebody listens on) the kernel takes the listeners
/// of that address, and those of "any" only where there is none, for IPv4 those of 0.0.0.0 before
/// those of :: (__inet_lookup_listener). That
/// :: may be for IPv6 only is not seen.
LeastQueues least_queues(const ListenerReport& report, const VipConfig& vip);

}  // namespace tfo
