// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/reference_ip.h"

#include <optional>
#include <set>

namespace tfo::test {
namespace {

constexpr uint8_t kIpip = 4, kTcp = 6, kUdp = 17, kIpv6 = 41;
constexpr uint8_t kHop = 0, kRoute = 43, kFrag = 44, kDest = 60;
constexpr int kMaxExtensions = 184;  // as many as fit into 1,500 bytes

uint16_t be16(View bytes, size_t at) {
  return static_cast<uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

tl::unexpected<tfo_reason> no(tfo_reason reason = TFO_NOT_TCP) { return tl::unexpected(reason); }

/// Where the reader stands: how deep in tunnels, and whether the outer packet is a first fragment,
/// so that its content may lack its end.
struct Depth {
  const World& world;
  bool inner = false;
  bool outer_cut = false;
};

/// What an IP header carries.
struct Content {
  uint8_t protocol = 0;
  View bytes;
  View source;
  View destination;
  bool first_of_more = false;  ///< a first fragment
  bool later_fragment = false;
  bool fragmented = false;  ///< a fragment header came by
  bool cut = false;         ///< ended by an outer fragment's end, before its own
};

Found any_ip(View bytes, Depth depth);

/// Protocols that lead on from here: TCP always, tunnels where they are looked into.
bool of_interest(uint8_t protocol, const Depth& depth) {
  const bool ipip = (depth.world.decap & TFO_DECAP_IPIP) != 0 && !depth.inner;
  const bool gue = (depth.world.decap & TFO_DECAP_GUE) != 0 && !depth.inner;
  return protocol == kTcp || (ipip && (protocol == kIpip || protocol == kIpv6)) ||
         (gue && protocol == kUdp);
}

/// The IP packet inside, whose version must be the one announced.
Found announced_ip(uint8_t protocol, const Content& outer, View bytes, const Depth& depth) {
  const int version = protocol == kIpip ? 4 : protocol == kIpv6 ? 6 : 0;
  if (version == 0 || bytes.empty() || bytes[0] >> 4 != version) return no();
  return any_ip(bytes, {depth.world, true, outer.first_of_more});
}

Found gue(const Content& outer, const Depth& depth) {
  const View udp = outer.bytes;
  if (udp.size() < 9 || be16(udp, 2) != depth.world.gue_port) return no();
  const View body = udp.subspan(8);
  const int variant = body[0] >> 6;
  if (variant == 1) return any_ip(body, {depth.world, true, outer.first_of_more});
  if (variant != 0 || (body[0] & 0x20) != 0 || body.size() < 4) return no();
  const size_t skipped = 4 + static_cast<size_t>(body[0] & 0x1f) * 4;
  if (skipped > body.size()) return no();
  return announced_ip(body[1], outer, body.subspan(skipped), depth);
}

Found transport(const Content& content, const Depth& depth) {
  if (!of_interest(content.protocol, depth)) return no();
  if (content.later_fragment) return no(TFO_FRAGMENT);
  if (content.protocol == kTcp) {
    return TcpSegment{content.bytes, content.source, content.destination,
                      content.first_of_more || content.cut};
  }
  if (content.protocol == kUdp) return gue(content, depth);
  return announced_ip(content.protocol, content, content.bytes, depth);
}

/// Bytes [0, length) of `bytes`, or what there is of them where an outer fragment cut the rest off.
std::optional<View> bounded(View bytes, size_t length, const Depth& depth, bool* cut) {
  *cut = length > bytes.size();
  if (*cut && !depth.outer_cut) return std::nullopt;
  return bytes.first(std::min(length, bytes.size()));
}

Found ipv4(View bytes, const Depth& depth) {
  if (bytes.size() < 20) return no();
  const size_t header = static_cast<size_t>(bytes[0] & 15) * 4;
  const size_t total = be16(bytes, 2);
  Content content;
  const auto packet = bounded(bytes, total, depth, &content.cut);
  if (header < 20 || total < header || !packet) return no();
  content.protocol = bytes[9];
  content.bytes = packet->subspan(std::min(header, packet->size()));
  content.source = bytes.subspan(12, 4);
  content.destination = bytes.subspan(16, 4);
  content.later_fragment = (be16(bytes, 6) & 0x1fff) != 0;
  content.first_of_more = !content.later_fragment && (be16(bytes, 6) & 0x2000) != 0;
  return transport(content, depth);
}

Found chain(Content content, const Depth& depth, int headers);

/// One extension header of `length` bytes that says nothing else.
Found skip(const Content& content, size_t length, const Depth& depth, int headers) {
  if (length > content.bytes.size()) return no();
  Content rest = content;
  rest.protocol = content.bytes[0];
  rest.bytes = content.bytes.subspan(length);
  return chain(rest, depth, headers + 1);
}

Found fragment_header(const Content& content, const Depth& depth, int headers) {
  static const std::set<uint8_t> kLeadsOn = {kRoute, kDest};
  const uint16_t field = be16(content.bytes, 2);
  if (field >> 3 != 0) {
    const uint8_t next = content.bytes[0];
    return no(of_interest(next, depth) || kLeadsOn.contains(next) ? TFO_FRAGMENT : TFO_NOT_TCP);
  }
  Content rest = content;
  rest.fragmented = true;
  rest.first_of_more = (field & 1) != 0;
  return skip(rest, 8, depth, headers);
}

Found chain(Content content, const Depth& depth, int headers) {
  static const std::set<uint8_t> kExtensions = {kHop, kRoute, kFrag, kDest};
  if (!kExtensions.contains(content.protocol)) return transport(content, depth);
  const View bytes = content.bytes;
  if (headers == kMaxExtensions || bytes.size() < 8) return no();
  if (content.protocol == kHop && headers != 0) return no();
  if (content.protocol == kRoute && bytes[3] != 0) return no();
  // ipv6_frag_rcv() refuses a fragment within a fragment.
  if (content.protocol == kFrag && content.fragmented) return no();
  if (content.protocol == kFrag) return fragment_header(content, depth, headers);
  return skip(content, (static_cast<size_t>(bytes[1]) + 1) * 8, depth, headers);
}

Found ipv6(View bytes, const Depth& depth) {
  if (bytes.size() < 40) return no();
  const size_t payload = be16(bytes, 4);
  Content content;
  const auto packet = bounded(bytes, 40 + payload, depth, &content.cut);
  if (payload == 0 || !packet) return no();
  content.protocol = bytes[6];
  content.bytes = packet->subspan(40);
  content.source = bytes.subspan(8, 16);
  content.destination = bytes.subspan(24, 16);
  return chain(content, depth, 0);
}

Found any_ip(View bytes, Depth depth) {
  if (bytes.empty()) return no();
  if (bytes[0] >> 4 == 4) return ipv4(bytes, depth);
  if (bytes[0] >> 4 == 6) return ipv6(bytes, depth);
  return no();
}

Found ethernet_type(View bytes, size_t at, int tags, const World& world) {
  if (bytes.size() < at + 2) return no();
  const uint16_t type = be16(bytes, at);
  if (type == 0x8100 || type == 0x88a8) {
    return tags == 2 ? no() : ethernet_type(bytes, at + 4, tags + 1, world);
  }
  const View packet = bytes.subspan(at + 2);
  const int version = type == 0x0800 ? 4 : type == 0x86dd ? 6 : 0;
  if (version == 0 || packet.empty() || packet[0] >> 4 != version) return no();
  return any_ip(packet, {world});
}

}  // namespace

Found find_segment(View frame, const World& world) {
  return world.l3 ? any_ip(frame, {world}) : ethernet_type(frame, 12, 0, world);
}

}  // namespace tfo::test
