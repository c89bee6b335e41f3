// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "loader/audit/address.h"

namespace tfo::audit {

/// One direction of a connection, as its packets name it. Ports and numbers in host order.
struct Segment {
  Address source;
  Address destination;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint32_t sequence = 0;
  uint8_t hop_limit = 64;  ///< IPv4: time to live
};

/// A SYN that asks for a Fast Open cookie (RFC 7413 section 4.1.1: kind 34, length 2), without
/// data: the IP packet, checksums included.
std::vector<uint8_t> cookie_request(const Segment& segment);

/// The RST that takes a half-open connection back: `sequence` is the one after the SYN's.
std::vector<uint8_t> reset(const Segment& segment);

enum class ReplyKind {
  syn_ack,
  reset,        ///< RST with ACK, as a closed port answers a SYN (RFC 9293 section 3.5.2)
  unreachable,  ///< ICMP: destination unreachable, or hop limit exceeded
};

/// What came back, seen from the SYN that it answers.
struct Reply {
  ReplyKind kind = ReplyKind::syn_ack;
  Segment asked;  ///< the SYN: its addresses, ports and sequence number (hop_limit: nothing)
  Address from;   ///< who sent it; a router may have sent `unreachable`
  /// syn_ack: kind of the Fast Open option, 34 or 254 (RFC 7413 section 4.1.1, appendix of the
  /// experimental kind: RFC 6994 magic 0xF989); 0 if there is none that the kernel would take.
  int option_kind = 0;
  std::vector<uint8_t> cookie;  ///< syn_ack: 4..16 bytes, or none
  std::string reason;           ///< unreachable: in words
  bool hop_limit_exceeded = false;
};

/// Reads an IP packet; nothing if it is none of the three. Its options are read as the kernel
/// reads them (tcp_parse_options); checksums are not looked at, since a veth leaves them undone.
std::optional<Reply> parse_reply(std::span<const uint8_t> packet);

}  // namespace tfo::audit
