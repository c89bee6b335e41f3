// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/segment.h"

#include <map>
#include <tuple>

namespace tfo::test {
namespace {

constexpr size_t kEthernetSize = 14;
constexpr size_t kFlags = 13;  // of TCP's header

using Shape = std::tuple<bool, bool, uint16_t>;

Bytes build(const Segment& segment) {
  Packet packet = segment.ipv6 ? Packet::syn("2001:db8::1", "2001:db8::2")
                               : Packet::syn("192.0.2.1", "192.0.2.2");
  if (segment.fast_open) packet.option(fast_open(Bytes(8, 0x77)));
  if (segment.payload != 0) packet.data(segment.payload);
  return packet.frame();
}

template <class T>
void put(Bytes& frame, size_t at, T value) {
  for (size_t i = 0; i < sizeof(T); i++) {
    frame[at + i] = static_cast<uint8_t>(value >> 8 * (sizeof(T) - 1 - i));
  }
}

}  // namespace

View Segment::frame() const {
  static thread_local std::map<Shape, Bytes> built;
  Bytes& frame = built[{ipv6, fast_open, payload}];
  if (frame.empty()) frame = build(*this);
  const size_t addresses = kEthernetSize + (ipv6 ? 20 : 12);
  const size_t tcp = kEthernetSize + (ipv6 ? 40 : 20);
  put(frame, addresses, source);
  put(frame, ipv6 ? addresses + 16 : addresses + 4, destination);
  put(frame, tcp, source_port);
  put(frame, tcp + 2, destination_port);
  put(frame, tcp + 4, sequence);
  put(frame, tcp + 8, ack);
  frame[tcp + kFlags] = flags;
  return frame;
}

uint32_t Segment::ip_length() const {
  return (ipv6 ? 40 : 20) + 20 + (fast_open ? 12 : 0) + payload;
}

}  // namespace tfo::test
