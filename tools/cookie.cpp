// SPDX-License-Identifier: BSD-2-Clause
#include "bpf/cookie.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "loader/keys/redact.h"
#include "tools/commands.h"
#include "tools/keytext.h"

namespace tfo {

namespace {

struct Address {
  int family;  // 4 or 6
  uint8_t bytes[16];
};

Result<Address> parse_address(const std::string& what, const std::string& text) {
  Address address{};
  if (inet_pton(AF_INET, text.c_str(), address.bytes) == 1) {
    address.family = 4;
  } else if (inet_pton(AF_INET6, text.c_str(), address.bytes) == 1) {
    address.family = 6;
  } else {
    return fail(
        fmt::format("{} '{}' is neither an IPv4 nor an IPv6 address", what, without_keys(text)));
  }
  return address;
}

/// What the cookie hashes (RFC 7413 section 4.1.2): the addresses of the SYN's IP header.
Result<tfo_flow> parse_flow(const CookieArgs& args) {
  const auto source = parse_address("SRC", args.source);
  if (!source) return tl::unexpected<Error>(source.error());
  const auto destination = parse_address("DST", args.destination);
  if (!destination) return tl::unexpected<Error>(destination.error());
  if (source->family != destination->family) {
    return fail(fmt::format("SRC is an IPv{} address and DST an IPv{} one: a packet has one family",
                            source->family, destination->family));
  }
  tfo_flow flow{};
  flow.family = static_cast<__u8>(source->family);
  const size_t length = source->family == 4 ? 4 : 16;
  std::memcpy(flow.word, source->bytes, length);
  std::memcpy(reinterpret_cast<char*>(flow.word) + length, destination->bytes, length);
  return flow;
}

std::string hex(uint64_t cookie) {
  uint8_t bytes[sizeof(cookie)];
  std::memcpy(bytes, &cookie, sizeof(cookie));
  std::string text;
  for (const uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

/// The 8 bytes of a cookie; none if it is one of another legal length, which Linux never accepts.
Result<std::optional<uint64_t>> parse_cookie(const std::string& text) {
  const bool digits = text.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  const size_t length = text.size() / 2;
  if (!digits || text.size() % 4 != 0 || length < 4 || length > 16) {
    return fail("COOKIE must be 16 hexadecimal digits, the bytes in the order of the packet");
  }
  if (length != TFO_COOKIE_LEN) return std::optional<uint64_t>{};
  uint8_t bytes[TFO_COOKIE_LEN];
  for (size_t i = 0; i < length; i++) {
    bytes[i] = static_cast<uint8_t>(std::stoul(text.substr(2 * i, 2), nullptr, 16));
  }
  uint64_t cookie = 0;
  std::memcpy(&cookie, bytes, sizeof(cookie));
  return std::optional<uint64_t>(cookie);
}

std::optional<size_t> find_key(const std::vector<Key>& keys, const tfo_flow& flow,
                               const std::optional<uint64_t>& cookie) {
  for (size_t i = 0; cookie && i < keys.size(); i++) {
    if (tfo_make_cookie(keys[i].k0(), keys[i].k1(), &flow) == *cookie) return i + 1;
  }
  return std::nullopt;
}

}  // namespace

int cookie_make(Context& context, const CookieArgs& args) {
  const auto flow = parse_flow(args);
  if (!flow) return report(context, flow.error());
  const auto keys = read_keys(context, args.keys, 1);
  if (!keys) return report(context, keys.error());
  const Key& key = keys->front();
  const std::string cookie = hex(tfo_make_cookie(key.k0(), key.k1(), &*flow));
  if (context.json) {
    print_json(context, {{"cookie", cookie}});
  } else {
    context.out << cookie << '\n';
  }
  return kExitOk;
}

int cookie_check(Context& context, const CookieArgs& args) {
  const auto flow = parse_flow(args);
  if (!flow) return report(context, flow.error());
  const auto cookie = parse_cookie(args.cookie);
  if (!cookie) return report(context, cookie.error());
  const auto keys = read_keys(context, args.keys, kMostKeys);
  if (!keys) return report(context, keys.error());

  const auto place = find_key(*keys, *flow, *cookie);
  if (context.json) {
    nlohmann::json answer = {{"match", place.has_value()}, {"place", nullptr}};
    if (place) answer["place"] = *place;
    print_json(context, answer);
  } else if (place) {
    context.out << *place << '\n';
  } else if (*cookie) {
    context.err << "tfoctl: none of these keys made this cookie for these addresses\n";
  } else {
    context.err << "tfoctl: Linux makes and accepts cookies of 8 bytes only\n";
  }
  return place ? kExitOk : kExitNo;
}

}  // namespace tfo
