// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <optional>
#include <string>

#include "bpf/core.h"
#include "loader/capture/link.h"

namespace tfo {

/// Where the headers of a frame lie, by the same core that the program is built from. The verdict
/// is never taken from here.
struct Description {
  tfo_packet packet{};
  /// What the parser came to: TFO_GO_ON for a SYN, else a reason.
  int parsed = TFO_GO_ON;
  /// Headers that decide lie in the part of the frame that the capture left out.
  bool cut = false;
};

/// Addresses and, of a TCP segment whose header is there, ports of the innermost packet.
struct Flow {
  int family = 0;  // 4 or 6
  std::array<uint8_t, 16> source{};
  std::array<uint8_t, 16> destination{};  // IPv4 in the first four bytes
  bool has_ports = false;
  uint16_t source_port = 0;  // host order
  uint16_t destination_port = 0;

  /// "192.0.2.1:1234", "[2001:db8::1]:1234".
  std::string source_text() const;
  std::string destination_text() const;
};

/// `config`: of the program that judges the frame.
Description describe(const EthernetFrame& frame, const tfo_load_config& config);

/// None if the frame holds no well-formed IP header.
std::optional<Flow> flow_of(const EthernetFrame& frame, const Description& description);

/// An address without its port.
std::string address_text(int family, const std::array<uint8_t, 16>& address);

}  // namespace tfo
