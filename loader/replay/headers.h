// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bpf/core.h"
#include "loader/capture/link.h"

namespace tfo {

// The headers of one frame for people to read. Offsets count from the start of the Ethernet frame,
// numbers are in host order.

struct TagHeader {
  uint32_t offset = 0;
  uint16_t protocol = 0;  // 0x8100 (802.1Q) or 0x88a8 (802.1ad)
  uint16_t vlan = 0;
};

/// An extension header of IPv6 (RFC 8200 section 4).
struct ExtensionHeader {
  uint8_t kind = 0;
  uint32_t offset = 0;
  uint32_t length = 0;
};

struct IpHeader {
  int family = 0;  // 4 or 6
  uint32_t offset = 0;
  uint32_t length = 0;  // 20 to 60, or 40
  uint32_t end = 0;     // of its packet, as its length field says
  std::string source;
  std::string destination;
  uint8_t protocol = 0;  // of what follows it and its extension headers
  std::vector<ExtensionHeader> extensions;
  bool fragment = false;         // a part of a larger packet
  bool more_fragments = false;   // not the last one
  uint32_t fragment_offset = 0;  // bytes
};

/// Generic UDP Encapsulation, with the UDP header before it.
struct GueHeader {
  uint32_t offset = 0;  // of the UDP header
  uint32_t length = 0;  // of both
  uint16_t port = 0;    // UDP destination
  int variant = 0;      // 0 or 1
};

/// The least that is known of a TCP header: its first 14 bytes.
struct TcpHeader {
  uint32_t offset = 0;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint32_t sequence = 0;
  uint8_t flags = 0;
  uint32_t length = 0;  // as its data offset says, 0 to 60
  uint32_t data = 0;    // bytes of payload in this packet
};

struct Headers {
  std::vector<TagHeader> tags;
  uint16_t ethertype = 0;    // behind the tags
  std::vector<IpHeader> ip;  // the outer one first, at most two
  std::optional<GueHeader> gue;
  std::optional<TcpHeader> tcp;

  /// As tfo_parse() has them, since it is made of the same pieces: TFO_GO_ON for a SYN, else the
  /// reason, and what it learned on the way.
  int parsed = 0;
  tfo_packet packet{};
  /// The rule that decided, a sentence; empty for a SYN.
  std::string rule;
};

/// `config`: of the program that judges the frame.
Headers walk_headers(const EthernetFrame& frame, const tfo_load_config& config);

/// "TCP", "UDP", "hop-by-hop options", ...; "protocol 99".
std::string protocol_name(uint8_t protocol);
/// "SYN", "SYN, ACK", ...; "none".
std::string flag_names(uint8_t flags);

}  // namespace tfo
