// SPDX-License-Identifier: BSD-2-Clause
#include "loader/capture/link.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>

namespace tfo {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr size_t kEthernetHeader = 14;
constexpr size_t kEthertypeAt = 12;
constexpr uint16_t kTypeIpv4 = 0x0800;
constexpr uint16_t kTypeIpv6 = 0x86dd;
constexpr uint16_t kTypeUnknown = 0;
constexpr uint32_t kRawBsd = 12;  // DLT_RAW where it is not kLinkRaw
constexpr uint32_t kRawOpenBsd = 14;
constexpr uint32_t kDirectionMask = 3;  // of epb_flags
constexpr uint8_t kPacketOutgoing = 4;  // PACKET_OUTGOING of linux/if_packet.h

/// What a link header says.
struct Meaning {
  uint16_t ethertype = kTypeUnknown;
  Direction direction = Direction::kUnknown;
};

using Decode = Meaning (*)(Bytes header);

struct LinkType {
  uint32_t number;
  const char* name;
  size_t header;   // bytes of it
  size_t minimum;  // bytes that decode() looks at: the header, or more
  Decode decode;   // none for Ethernet
};

uint16_t big16(Bytes bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

uint16_t ethertype_of_family(uint32_t family) {
  switch (family) {
    case 2:
      return kTypeIpv4;
    case 10:  // Linux
    case 24:  // NetBSD, OpenBSD
    case 28:  // FreeBSD
    case 30:  // macOS
      return kTypeIpv6;
    default:
      return kTypeUnknown;
  }
}

Meaning decode_loop(Bytes header) {
  return {ethertype_of_family(uint32_t{big16(header, 0)} << 16 | big16(header, 2))};
}

/// In the byte order of the machine that captured, which need not be that of the file.
Meaning decode_null(Bytes header) {
  const Meaning big = decode_loop(header);
  if (big.ethertype != kTypeUnknown) return big;
  const std::array<uint8_t, 4> turned = {header[3], header[2], header[1], header[0]};
  return decode_loop(turned);
}

Meaning decode_raw(Bytes packet) {
  const int version = packet[0] >> 4;
  return {version == 4 ? kTypeIpv4 : version == 6 ? kTypeIpv6 : kTypeUnknown};
}

Meaning decode_ipv4(Bytes) { return {kTypeIpv4}; }
Meaning decode_ipv6(Bytes) { return {kTypeIpv6}; }

Direction direction_of_type(uint32_t packet_type) {
  if (packet_type == kPacketOutgoing) return Direction::kOut;
  return packet_type < kPacketOutgoing ? Direction::kIn : Direction::kUnknown;
}

Meaning decode_cooked(Bytes header) {
  return {big16(header, 14), direction_of_type(big16(header, 0))};
}

Meaning decode_cooked2(Bytes header) { return {big16(header, 0), direction_of_type(header[10])}; }

constexpr std::array kLinkTypes = {
    LinkType{kLinkEthernet, "Ethernet", 0, kEthernetHeader, nullptr},
    LinkType{kLinkNull, "BSD loopback", 4, 4, decode_null},
    LinkType{kLinkLoop, "OpenBSD loopback", 4, 4, decode_loop},
    LinkType{kLinkRaw, "raw IP", 0, 1, decode_raw},
    LinkType{kRawBsd, "raw IP", 0, 1, decode_raw},
    LinkType{kRawOpenBsd, "raw IP", 0, 1, decode_raw},
    LinkType{kLinkIpv4, "raw IPv4", 0, 0, decode_ipv4},
    LinkType{kLinkIpv6, "raw IPv6", 0, 0, decode_ipv6},
    LinkType{kLinkCooked, "Linux cooked v1", 16, 16, decode_cooked},
    LinkType{kLinkCooked2, "Linux cooked v2", 20, 20, decode_cooked2},
};

const LinkType* find_type(uint32_t number) {
  const auto* found = std::find_if(kLinkTypes.begin(), kLinkTypes.end(),
                                   [&](const LinkType& type) { return type.number == number; });
  return found == kLinkTypes.end() ? nullptr : found;
}

Direction direction_of_flags(const std::optional<uint32_t>& flags) {
  switch (flags.value_or(0) & kDirectionMask) {
    case 1:
      return Direction::kIn;
    case 2:
      return Direction::kOut;
    default:
      return Direction::kUnknown;
  }
}

uint32_t saturated(uint64_t value) {
  return static_cast<uint32_t>(std::min<uint64_t>(value, std::numeric_limits<uint32_t>::max()));
}

}  // namespace

bool LinkShaper::knows(uint32_t link_type) { return find_type(link_type) != nullptr; }

std::string LinkShaper::name(uint32_t link_type) {
  const LinkType* type = find_type(link_type);
  return type != nullptr ? type->name : fmt::format("link type {}", link_type);
}

std::optional<EthernetFrame> LinkShaper::shape(uint32_t link_type, const CapturedFrame& frame) {
  const LinkType* type = find_type(link_type);
  if (type == nullptr || frame.bytes.size() < type->minimum) return std::nullopt;
  EthernetFrame result;
  result.direction = direction_of_flags(frame.flags);
  if (type->decode == nullptr) {
    result.bytes = frame.bytes;
    result.wire_length = frame.wire_length;
    return result;
  }
  const Meaning meaning = type->decode(frame.bytes);
  const Bytes payload = frame.bytes.subspan(type->header);
  const size_t size = kEthernetHeader + payload.size();
  if (shaped_.size() < size) shaped_.resize(size);
  // Both addresses stay zero: a cooked header has at most one of them.
  shaped_[kEthertypeAt] = static_cast<uint8_t>(meaning.ethertype >> 8);
  shaped_[kEthertypeAt + 1] = static_cast<uint8_t>(meaning.ethertype);
  std::copy(payload.begin(), payload.end(), shaped_.begin() + kEthernetHeader);
  result.bytes = Bytes(shaped_).first(size);
  result.cut = static_cast<uint32_t>(type->header);
  result.made = kEthernetHeader;
  result.wire_length = saturated(uint64_t{std::max<size_t>(frame.wire_length, frame.bytes.size())} -
                                 result.cut + result.made);
  if (meaning.direction != Direction::kUnknown) result.direction = meaning.direction;
  return result;
}

std::span<const uint8_t> LinkShaper::restore(const CapturedFrame& frame,
                                             const EthernetFrame& shaped,
                                             std::span<const uint8_t> ethernet) {
  const Bytes payload = ethernet.subspan(std::min<size_t>(shaped.made, ethernet.size()));
  if (shaped.cut == 0) return payload;
  const Bytes header = frame.bytes.first(shaped.cut);
  restored_.assign(header.begin(), header.end());
  restored_.insert(restored_.end(), payload.begin(), payload.end());
  return restored_;
}

}  // namespace tfo
