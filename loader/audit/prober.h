// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "loader/audit/address.h"
#include "loader/audit/route.h"
#include "loader/result.h"

namespace tfo::audit {

/// Whom to ask: a server by its own address, or a VIP at one next hop.
struct Target {
  Address server;              ///< where the SYN is addressed to
  uint16_t port = 0;           ///< 1..65535
  std::optional<Address> via;  ///< the neighbour that gets the frame; none: as this host routes
};

struct ProbeOptions {
  std::optional<Address> source4;  ///< none: the kernel chooses
  std::optional<Address> source6;
  unsigned tries = 3;  ///< SYNs, of one tuple and sequence number; 1 or more
  /// Between two of them. After the last a quarter more: this host says "host unreachable" when
  /// three ARP requests, one a second, have gone unanswered (arp_error_report).
  std::chrono::milliseconds pause{1000};
  /// Hop limit of what goes to a next hop. 1: a neighbour that does not hold the VIP cannot pass
  /// the SYN on to one that does, whose answer would then be taken for its own.
  uint8_t via_hop_limit = 1;
};

enum class Outcome {
  cookie,       ///< SYN-ACK with a cookie
  no_cookie,    ///< SYN-ACK without
  closed,       ///< RST
  unreachable,  ///< ICMP says so, or this host itself
  silent,
};

struct Answer {
  Target target;
  Address source;  ///< the cookie is made of this and target.server
  Outcome outcome = Outcome::silent;
  int option_kind = 0;          ///< 34, 254; 0: no option
  std::vector<uint8_t> cookie;  ///< outcome cookie: 4..16 bytes
  std::string detail;           ///< outcome unreachable: who says what
  unsigned sent = 0;            ///< SYNs
  double milliseconds = 0;      ///< from the last SYN before the answer to it; 0: no answer
};

/// Called now and then with how many have not answered yet; false ends the audit.
using Waiting = std::function<bool(size_t pending)>;

/// Asks all of them at once for a cookie (RFC 7413 section 4.1.1) and returns their answers in the
/// order of `targets`. A SYN-ACK is answered by an RST, and so is silence in the end: no server is
/// left with a half-open connection. An error if it cannot be done at all: no privilege, a next
/// hop that is no neighbour, a source that is not this host's, ended by `waiting`.
Result<std::vector<Answer>> probe(const std::vector<Target>& targets, const ProbeOptions& options,
                                  const Waiting& waiting);

}  // namespace tfo::audit
