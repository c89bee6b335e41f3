// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace tfo {

/// Link types (tcpdump.org/linktypes.html) that can be turned into Ethernet frames.
inline constexpr uint32_t kLinkNull = 0;  // BSD loopback: address family in the writer's order
inline constexpr uint32_t kLinkEthernet = 1;
inline constexpr uint32_t kLinkRaw = 101;     // IPv4 or IPv6 without a link header; also 12 and 14
inline constexpr uint32_t kLinkLoop = 108;    // OpenBSD loopback: address family, network order
inline constexpr uint32_t kLinkCooked = 113;  // Linux cooked v1 (SLL), 16 bytes
inline constexpr uint32_t kLinkIpv4 = 228;
inline constexpr uint32_t kLinkIpv6 = 229;
inline constexpr uint32_t kLinkCooked2 = 276;  // Linux cooked v2 (SLL2), 20 bytes

/// One interface of a capture: the only one of a pcap file, or a pcapng Interface Description.
struct CaptureInterface {
  uint32_t link_type = kLinkEthernet;
  uint32_t snap_length = 0;  // bytes kept of each frame at most; 0: no limit
  std::string name{};        // if_name, of it at most 256 bytes; empty if it has none

  bool operator==(const CaptureInterface&) const = default;
};

/// Which way a frame went, where the capture says so.
enum class Direction : uint8_t { kUnknown, kIn, kOut };

/// One frame of a capture.
struct CapturedFrame {
  uint64_t number = 0;       // from 1, as Wireshark numbers them: custom, systemd and sysdig
                             // blocks, which are frames to it and not returned, count too
  uint64_t time_ns = 0;      // unix time, saturated; 0 where the capture has none
  uint32_t interface = 0;    // index into CaptureReader::interfaces()
  uint32_t wire_length = 0;  // bytes that were on the wire; at least bytes.size()
  std::span<const uint8_t> bytes{};  // what was captured, link header first, at most 262,144 bytes;
                                     // valid until next()
  std::optional<uint32_t> flags{};   // pcapng epb_flags, as they stand there
};

}  // namespace tfo
