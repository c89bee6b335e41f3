// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "bpf/cookie.h"
#include "loader/result.h"

namespace tfo::audit {

/// An IPv4 or IPv6 address as it stands in a packet.
struct Address {
  int family = 0;                   ///< 4 or 6; 0: none
  std::array<uint8_t, 16> bytes{};  ///< network byte order; IPv4 takes the first four
  uint32_t scope = 0;               ///< index of the interface of a link-local IPv6 address, else 0

  size_t size() const { return family == 4 ? 4 : 16; }
  bool is_link_local() const;  ///< fe80::/10
  friend bool operator==(const Address& a, const Address& b) = default;
};

/// "192.0.2.1", "2001:db8::1", "fe80::1%eth0". The error repeats the text.
Result<Address> parse_address(const std::string& text);

/// The same without a scope: as packets carry it, a link-local one too.
Result<Address> parse_packet_address(const std::string& text);

/// The way back; a scope is written as the interface's name.
std::string to_string(const Address& address);

/// The address as a packet carries it.
Address without_scope(Address address);

/// An address and, where the text named one, a port.
struct Endpoint {
  Address address;
  std::optional<uint16_t> port;  ///< 1..65535
};

/// An address as above, "192.0.2.1:443", or "[2001:db8::1]:443".
Result<Endpoint> parse_endpoint(const std::string& text);

/// For bind(), connect() and sendto(). Returns the length in use.
socklen_t to_sockaddr(const Address& address, uint16_t port, sockaddr_storage& out);

/// Reads what getsockname() gave; the port comes back in host order.
Address from_sockaddr(const sockaddr_storage& in, uint16_t& port);

/// What a cookie hashes (__tcp_fastopen_cookie_gen_cipher in net/ipv4/tcp_fastopen.c). Both of one
/// family.
tfo_flow flow_of(const Address& source, const Address& destination);

}  // namespace tfo::audit
