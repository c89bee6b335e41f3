// SPDX-License-Identifier: BSD-2-Clause
// TCP segments by the million: a frame is built once for each shape, and then only its numbers
// change.
#pragma once

#include <cstdint>

#include "tests/support/packet.h"

namespace tfo::test {

/// One TCP segment. Addresses are IPv4 in host order; of IPv6 they are the last four bytes behind
/// 2001:db8::/96. Checksums are those of another segment: the monitor's programs do not look.
struct Segment {
  uint32_t source = 0;
  uint32_t destination = 0;
  uint16_t source_port = 443;
  uint16_t destination_port = 40000;
  uint32_t sequence = 1;
  uint32_t ack = 0;
  uint8_t flags = kSyn;
  bool ipv6 = false;
  bool fast_open = false;  // a cookie of 8 bytes
  uint16_t payload = 0;    // bytes

  /// Valid until the next call in this thread. Ethernet.
  View frame() const;
  /// Bytes of IP.
  uint32_t ip_length() const;
};

/// 192.0.2.1 as a number.
constexpr uint32_t ipv4(unsigned a, unsigned b, unsigned c, unsigned d) {
  return a << 24 | b << 16 | c << 8 | d;
}

}  // namespace tfo::test
