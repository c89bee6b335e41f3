// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <string_view>

#include "bpf/tfo_abi.h"
#include "loader/config.h"
#include "loader/result.h"

namespace tfo {

/// A network of clients: an address and how many of its bits count.
struct ClientNetwork {
  ConfigAddress address{};  // host bits 0
  unsigned length = 128;    // of the mapped form: 96 to 128 for IPv4

  bool is_v4() const;
  bool operator==(const ClientNetwork&) const = default;
};

/// "192.0.2.0/24", "2001:db8::/48", or an address alone. Host bits that are set, lengths of 0 and
/// IPv4-mapped addresses are refused; the error quotes the text and says what to give.
Result<ClientNetwork> parse_network(std::string_view text);

/// As it is written; an address alone without its length.
std::string network_text(const ClientNetwork& network);

/// Does `outer` hold all of `inner`? A network holds itself; none of IPv6 holds one of IPv4.
bool holds(const ClientNetwork& outer, const ClientNetwork& inner);

/// The network of this level (below TFO_LEVEL_VIP) that the address is in. IPv4 has no site: its
/// network stands for it, as in bpf/load.h.
ClientNetwork network_at(const ConfigAddress& address, tfo_guard_level level);

/// "address", "network", "site" or "vip".
std::string_view level_label(unsigned level);

}  // namespace tfo
