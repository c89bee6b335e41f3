// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <linux/filter.h>
#include <poll.h>

#include <array>
#include <chrono>
#include <vector>

#include "loader/audit/packet.h"
#include "loader/dataplane/fd.h"
#include "loader/result.h"

namespace tfo::audit {

/// The classic BPF program that lets pass what may be a reply to one of `sources` (all of
/// `family`): SYN-ACK, RST with ACK, ICMP destination unreachable or time exceeded. It sees a
/// packet from its IP header on.
std::vector<sock_filter> reply_filter(int family, const std::vector<Address>& sources);

/// Hears replies on every interface of this network namespace, before its routing and firewall: a
/// server that answers for the VIP directly may answer through another interface than the SYN
/// left by, and where this host holds the VIP too the kernel drops that answer as a martian.
class Listener {
 public:
  /// Needs CAP_NET_RAW. Replies to `sources` are heard from here on.
  static Result<Listener> open(const std::vector<Address>& sources);

  /// The replies that come within `wait`, or at once those that are there; may be none.
  Result<std::vector<Reply>> receive(std::chrono::milliseconds wait);

 private:
  Result<> add(int family, const std::vector<Address>& sources);
  std::vector<Fd> sockets_;
};

}  // namespace tfo::audit
