// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "loader/result.h"

namespace tfo {

/// An IPv6 address, or IPv4 in its mapped form ::ffff:a.b.c.d; network order.
using ConfigAddress = std::array<uint8_t, 16>;

/// 0.0.0.0 in that form.
inline constexpr ConfigAddress kAnyV4 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};

/// Is it IPv4, in its mapped form?
bool is_mapped(const ConfigAddress& address);

/// Text of an address: dotted quad for IPv4-mapped ones, RFC 5952 for the rest.
std::string address_text(const ConfigAddress& address);

/// A network, of clients for instance: an address and how many of its bits count.
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

/// The network of this length that the address is in.
ClientNetwork network_of_length(const ConfigAddress& address, unsigned length);

/// Does `outer` hold all of `inner`? A network holds itself; none of IPv6 holds one of IPv4.
bool holds(const ClientNetwork& outer, const ClientNetwork& inner);

}  // namespace tfo
