// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/packet.h"

#include <algorithm>

namespace tfo::test {
namespace {

constexpr uint8_t kProtocolIpip = 4, kProtocolTcp = 6, kProtocolUdp = 17, kProtocolIpv6 = 41;

uint8_t tunnel_protocol(const IpLayer& inner) {
  return inner.destination.v6 ? kProtocolIpv6 : kProtocolIpip;
}

Bytes slice(const Bytes& bytes, const Fragment& fragment) {
  const size_t last = std::min(fragment.last, bytes.size());
  const size_t first = std::min(fragment.first, last);
  return Bytes(bytes.begin() + static_cast<ptrdiff_t>(first),
               bytes.begin() + static_cast<ptrdiff_t>(last));
}

uint16_t fragment_field(const Fragment& fragment, size_t whole, int offset_shift, uint16_t more) {
  const bool follows = fragment.more || fragment.last < whole;
  return static_cast<uint16_t>(((fragment.first / 8) << offset_shift) | (follows ? more : 0));
}

/// Pseudo header of RFC 9293 section 3.1 and RFC 8200 section 8.1.
Bytes pseudo_header(const IpLayer& ip, size_t length, uint8_t protocol) {
  Bytes rest(ip.destination.v6 ? 8 : 4);
  rest.back() = protocol;
  if (ip.destination.v6) {
    put32(rest, 0, static_cast<uint32_t>(length));
  } else {
    rest = {0, protocol, 0, 0};
    put16(rest, 2, static_cast<uint16_t>(length));
  }
  return join({ip.source.wire(), ip.destination.wire(), rest});
}

Bytes tcp_segment(const Packet& packet) {
  const TcpLayer& tcp = packet.tcp;
  Bytes options = tcp.options;
  options.resize((options.size() + 3) / 4 * 4);
  Bytes header(20);
  put16(header, 0, tcp.source);
  put16(header, 2, tcp.destination);
  put32(header, 4, tcp.sequence);
  put32(header, 8, tcp.acknowledgment);
  const size_t words = tcp.doff.value_or(static_cast<uint8_t>(5 + options.size() / 4));
  header[12] = static_cast<uint8_t>(words << 4 | (tcp.reserved & 15));
  header[13] = tcp.flags;
  put16(header, 14, tcp.window);
  Bytes segment = join({header, options, packet.payload});
  if (tcp.cut && *tcp.cut < segment.size()) segment.resize(*tcp.cut);
  if (segment.size() >= 18) {
    const Bytes pseudo = pseudo_header(packet.ip, segment.size(), kProtocolTcp);
    const uint16_t sum = internet_checksum({pseudo, segment});
    put16(segment, 16,
          tcp.checksum.value_or(static_cast<uint16_t>(tcp.bad_checksum ? sum ^ 0x5555 : sum)));
  }
  return segment;
}

Bytes ipv4(const IpLayer& ip, uint8_t protocol, const Bytes& content) {
  const Fragment fragment = ip.fragment.value_or(Fragment{});
  const Bytes carried = slice(content, fragment);
  Bytes header(20);
  const size_t words = 5 + ip.options.size() / 4;
  header[0] = static_cast<uint8_t>((ip.version.value_or(4) << 4) |
                                   (ip.header_words.value_or(static_cast<uint8_t>(words)) & 15));
  const size_t total = words * 4 + carried.size();
  put16(header, 2, ip.length.value_or(static_cast<uint16_t>(total)));
  put16(header, 4, ip.id);
  put16(header, 6, fragment_field(fragment, content.size(), 0, 0x2000) | ip.flags);
  header[8] = ip.ttl;
  header[9] = protocol;
  std::copy_n(ip.source.bytes.begin(), 4, header.begin() + 12);
  std::copy_n(ip.destination.bytes.begin(), 4, header.begin() + 16);
  put16(header, 10, internet_checksum({header, ip.options}));
  return join({header, ip.options, carried});
}

/// What `extension` and all after it make of `content`, and the kind by which it is announced.
Bytes with_extension(const Extension& extension, uint8_t next, const Bytes& content, uint16_t id) {
  if (extension.kind != kFragmentHeader) {
    Bytes body = extension.body;
    return join({Bytes{next}, body, content});
  }
  Bytes header(8);
  header[0] = next;
  put16(header, 2, fragment_field(extension.fragment, content.size(), 3, 1));
  put32(header, 4, id);
  return join({header, slice(content, extension.fragment)});
}

Bytes ipv6(const IpLayer& ip, uint8_t protocol, Bytes content) {
  uint8_t next = protocol;
  for (auto it = ip.extensions.rbegin(); it != ip.extensions.rend(); ++it) {
    content = with_extension(*it, next, content, ip.id);
    next = it->kind;
  }
  Bytes header(8);
  header[0] = static_cast<uint8_t>(ip.version.value_or(6) << 4);
  put16(header, 4, ip.length.value_or(static_cast<uint16_t>(content.size())));
  header[6] = next;
  header[7] = ip.ttl;
  return join({header, ip.source.wire(), ip.destination.wire(), content});
}

Bytes ip_packet(const IpLayer& ip, uint8_t protocol, const Bytes& content) {
  const uint8_t said = ip.protocol.value_or(protocol);
  return ip.destination.v6 ? ipv6(ip, said, content) : ipv4(ip, said, content);
}

Bytes gue_datagram(const TunnelLayer& tunnel, const IpLayer& inner_ip, const Bytes& inner) {
  Bytes base;
  if (tunnel.kind == TunnelKind::kGue0) {
    const int first = (tunnel.control ? 0x20 : 0) | tunnel.words;
    base = {tunnel.first_byte.value_or(static_cast<uint8_t>(first)),
            tunnel.protocol.value_or(tunnel_protocol(inner_ip)), 0, 0};
    base.resize(4 + 4 * static_cast<size_t>(tunnel.words), 0x5a);
  }
  Bytes udp(8);
  put16(udp, 0, 50000);
  put16(udp, 2, tunnel.port);
  Bytes datagram = join({udp, base, inner});
  put16(datagram, 4, static_cast<uint16_t>(datagram.size()));
  const Bytes pseudo = pseudo_header(tunnel.ip, datagram.size(), kProtocolUdp);
  const uint16_t sum = internet_checksum({pseudo, datagram});
  put16(datagram, 6, sum == 0 ? 0xffff : sum);
  if (tunnel.cut && *tunnel.cut < datagram.size()) datagram.resize(*tunnel.cut);
  return datagram;
}

Bytes in_tunnel(const TunnelLayer& tunnel, const IpLayer& inner_ip, const Bytes& inner) {
  if (tunnel.kind == TunnelKind::kIp) {
    return ip_packet(tunnel.ip, tunnel_protocol(inner_ip), inner);
  }
  return ip_packet(tunnel.ip, kProtocolUdp, gue_datagram(tunnel, inner_ip, inner));
}

Bytes link_header(const LinkLayer& link, bool v6) {
  Bytes header = join({link.destination, link.source});
  for (const VlanTag& tag : link.tags) {
    header.resize(header.size() + 4);
    put16(header, header.size() - 4, tag.protocol);
    put16(header, header.size() - 2, tag.control);
  }
  header.resize(header.size() + 2);
  put16(header, header.size() - 2, link.ethertype.value_or(v6 ? 0x86dd : 0x0800));
  return header;
}

}  // namespace

uint16_t pseudo_header_sum(const IpLayer& ip, size_t length) {
  return static_cast<uint16_t>(~internet_checksum({pseudo_header(ip, length, kProtocolTcp)}));
}

Bytes Packet::frame() const {
  Bytes bytes = ip_packet(ip, kProtocolTcp, tcp_segment(*this));
  if (tunnel) bytes = in_tunnel(*tunnel, ip, bytes);
  if (link.present) {
    bytes = join({link_header(link, (tunnel ? tunnel->ip : ip).destination.v6), bytes});
  }
  bytes = join({bytes, tail});
  bytes.resize(bytes.size() - std::min(lost, bytes.size()));
  return bytes;
}

Bytes tcp_option_lie(uint8_t kind, uint8_t length, View body) {
  return join({Bytes{kind, length}, body});
}

Bytes tcp_option(uint8_t kind, View body) {
  return tcp_option_lie(kind, static_cast<uint8_t>(2 + body.size()), body);
}

Bytes fast_open(View cookie) { return tcp_option(34, cookie); }

Bytes fast_open_experimental(View cookie) {
  return tcp_option(254, join({Bytes{0xf9, 0x89}, cookie}));
}

}  // namespace tfo::test
