// SPDX-License-Identifier: BSD-2-Clause
#include "loader/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace tfo {
namespace {

constexpr unsigned kMappedBits = 96;
constexpr size_t kMappedSize = kMappedBits / 8;

ConfigAddress cut(ConfigAddress address, unsigned length) {
  for (unsigned i = 0; i < address.size(); ++i) {
    const unsigned bits = length > 8 * i ? std::min(8U, length - 8 * i) : 0;
    address[i] &= static_cast<uint8_t>(0xff00U >> bits);
  }
  return address;
}

/// A NUL would end the text for inet_pton, whatever comes behind it.
bool parse_address(const std::string& text, ConfigAddress& out) {
  if (text.find('\0') != std::string::npos) return false;
  out = kAnyV4;
  return inet_pton(AF_INET, text.c_str(), out.data() + kMappedSize) == 1 ||
         inet_pton(AF_INET6, text.c_str(), out.data()) == 1;
}

tl::unexpected<Error> refuse(std::string_view text, std::string_view why) {
  std::string quoted(text.substr(0, 60));
  std::ranges::replace_if(quoted, [](unsigned char c) { return c < ' ' || c == 127; }, '?');
  return fail(fmt::format("'{}' {}", quoted, why));
}

}  // namespace

bool is_mapped(const ConfigAddress& address) {
  return std::equal(address.begin(), address.begin() + kMappedSize, kAnyV4.begin());
}

bool ClientNetwork::is_v4() const { return length >= kMappedBits && is_mapped(address); }

Result<ClientNetwork> parse_network(std::string_view text) {
  const size_t slash = text.find('/');
  ClientNetwork network;
  if (!parse_address(std::string(text.substr(0, slash)), network.address)) {
    return refuse(text,
                  "is no client network: give one such as 192.0.2.0/24, 2001:db8::/48 or "
                  "192.0.2.7");
  }
  const unsigned base = network.is_v4() ? kMappedBits : 0;
  if (base != 0 && text.find(':') != std::string_view::npos) {
    return refuse(
        text, fmt::format("is an IPv4-mapped address: give it as {}, with a length of at most 32",
                          address_text(network.address)));
  }
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    unsigned length = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (error != std::errc{} || end != digits.data() + digits.size() || length == 0 ||
        length > 128 - base) {
      return refuse(
          text, fmt::format("has no good length: give one of 1 to {} after the '/'", 128 - base));
    }
    network.length = base + length;
  }
  const ClientNetwork whole{cut(network.address, network.length), network.length};
  if (whole == network) return network;
  return refuse(text, fmt::format("has bits beyond its length: give {}, or the address alone",
                                  network_text(whole)));
}

std::string address_text(const ConfigAddress& address) {
  char text[INET6_ADDRSTRLEN];
  if (is_mapped(address)) {
    return inet_ntop(AF_INET, address.data() + 12, text, sizeof(text));
  }
  return inet_ntop(AF_INET6, address.data(), text, sizeof(text));
}

std::string network_text(const ClientNetwork& network) {
  const std::string address = address_text(network.address);
  if (network.length == 128) return address;
  return fmt::format("{}/{}", address, network.length - (network.is_v4() ? kMappedBits : 0));
}

ClientNetwork network_of_length(const ConfigAddress& address, unsigned length) {
  return {cut(address, length), length};
}

bool holds(const ClientNetwork& outer, const ClientNetwork& inner) {
  return outer.is_v4() == inner.is_v4() && outer.length <= inner.length &&
         cut(inner.address, outer.length) == outer.address;
}

}  // namespace tfo
