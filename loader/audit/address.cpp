// SPDX-License-Identifier: BSD-2-Clause
#include "loader/audit/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>

#include <charconv>

namespace tfo::audit {

namespace {

tl::unexpected<Error> no_address(const std::string& text) {
  return fail(fmt::format("'{}' is neither an IPv4 nor an IPv6 address", text));
}

Result<uint16_t> parse_port(const std::string& text, const std::string& whole) {
  unsigned port = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, port);
  if (error != std::errc() || stopped != end || port == 0 || port > 65535) {
    return fail(fmt::format("'{}': the port must be a number from 1 to 65535", whole));
  }
  return static_cast<uint16_t>(port);
}

}  // namespace

bool Address::is_link_local() const {
  return family == 6 && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

Result<Address> parse_packet_address(const std::string& text) {
  Address address;
  if (inet_pton(AF_INET, text.c_str(), address.bytes.data()) == 1) {
    address.family = 4;
  } else if (inet_pton(AF_INET6, text.c_str(), address.bytes.data()) == 1) {
    address.family = 6;
  } else {
    return no_address(text);
  }
  return address;
}

Result<Address> parse_address(const std::string& text) {
  const size_t percent = text.find('%');
  auto address = parse_packet_address(text.substr(0, percent));
  if (!address || (address->family == 4 && percent != std::string::npos)) return no_address(text);
  if (percent != std::string::npos) {
    address->scope = if_nametoindex(text.substr(percent + 1).c_str());
    if (address->scope == 0) {
      return fail(fmt::format("'{}': no interface '{}' here", text, text.substr(percent + 1)));
    }
  }
  if (address->is_link_local() && address->scope == 0) {
    return fail(fmt::format("'{}' is link-local: add its interface, {}%eth0", text, text));
  }
  return address;
}

std::string to_string(const Address& address) {
  char text[INET6_ADDRSTRLEN] = "-";
  if (address.family != 0) {
    inet_ntop(address.family == 4 ? AF_INET : AF_INET6, address.bytes.data(), text, sizeof(text));
  }
  char name[IF_NAMESIZE];
  if (address.scope == 0 || if_indextoname(address.scope, name) == nullptr) return text;
  return fmt::format("{}%{}", text, name);
}

Address without_scope(Address address) {
  address.scope = 0;
  return address;
}

Result<Endpoint> parse_endpoint(const std::string& text) {
  std::string host = text;
  std::string port;
  bool has_port = false;
  const size_t close = text.find(']');
  if (text.starts_with('[')) {
    const std::string rest = close == std::string::npos ? "" : text.substr(close + 1);
    if (close == std::string::npos || !(rest.empty() || rest[0] == ':')) return no_address(text);
    host = text.substr(1, close - 1);
    has_port = !rest.empty();
    port = has_port ? rest.substr(1) : "";
  } else if (const size_t colon = text.find(':');
             colon != std::string::npos && text.find(':', colon + 1) == std::string::npos) {
    host = text.substr(0, colon);
    has_port = true;
    port = text.substr(colon + 1);
  }
  auto address = parse_address(host);
  if (!address) return tl::unexpected<Error>(address.error());
  Endpoint endpoint{*address, std::nullopt};
  if (has_port) {
    const auto number = parse_port(port, text);
    if (!number) return tl::unexpected<Error>(number.error());
    endpoint.port = *number;
  }
  return endpoint;
}

socklen_t to_sockaddr(const Address& address, uint16_t port, sockaddr_storage& out) {
  out = {};
  if (address.family == 4) {
    auto& in = reinterpret_cast<sockaddr_in&>(out);
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, address.bytes.data(), 4);
    return sizeof(in);
  }
  auto& in = reinterpret_cast<sockaddr_in6&>(out);
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  in.sin6_scope_id = address.scope;
  std::memcpy(&in.sin6_addr, address.bytes.data(), 16);
  return sizeof(in);
}

Address from_sockaddr(const sockaddr_storage& in, uint16_t& port) {
  Address address;
  if (in.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(in);
    address.family = 4;
    std::memcpy(address.bytes.data(), &v4.sin_addr, 4);
    port = ntohs(v4.sin_port);
  } else {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(in);
    address.family = 6;
    address.scope = v6.sin6_scope_id;
    std::memcpy(address.bytes.data(), &v6.sin6_addr, 16);
    port = ntohs(v6.sin6_port);
  }
  return address;
}

tfo_flow flow_of(const Address& source, const Address& destination) {
  tfo_flow flow{};
  flow.family = static_cast<__u8>(source.family);
  std::memcpy(flow.word, source.bytes.data(), source.size());
  std::memcpy(reinterpret_cast<char*>(flow.word) + source.size(), destination.bytes.data(),
              destination.size());
  return flow;
}

}  // namespace tfo::audit
