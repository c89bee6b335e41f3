// SPDX-License-Identifier: BSD-2-Clause
#include "loader/audit/packet.h"

#include <algorithm>

#include "bpf/tcpopt.h"

namespace tfo::audit {

namespace {

using Bytes = std::vector<uint8_t>;
using View = std::span<const uint8_t>;

constexpr uint8_t kTcp = 6;
constexpr uint8_t kIcmp = 1;
constexpr uint8_t kIcmp6 = 58;
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kRst = 0x04;
constexpr uint8_t kAck = 0x10;
constexpr uint16_t kMss4 = 1460;
constexpr uint16_t kMss6 = 1440;
constexpr uint16_t kWindow = 65535;

void put16(Bytes& to, size_t at, uint32_t value) {
  to[at] = static_cast<uint8_t>(value >> 8);
  to[at + 1] = static_cast<uint8_t>(value);
}

void put32(Bytes& to, size_t at, uint32_t value) {
  put16(to, at, value >> 16);
  put16(to, at + 2, value);
}

uint32_t get16(View from, size_t at) { return static_cast<uint32_t>(from[at]) << 8 | from[at + 1]; }
uint32_t get32(View from, size_t at) { return get16(from, at) << 16 | get16(from, at + 2); }

/// The sum of 16-bit words that the Internet checksum folds (RFC 1071).
uint64_t sum_of(View bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i++) sum += i % 2 == 0 ? bytes[i] << 8 : bytes[i];
  return sum;
}

uint32_t folded(uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return ~static_cast<uint32_t>(sum) & 0xffff;
}

void put_addresses(Bytes& packet, size_t at, const Segment& segment) {
  const size_t size = segment.source.size();
  std::copy_n(segment.source.bytes.begin(), size, packet.begin() + static_cast<ptrdiff_t>(at));
  std::copy_n(segment.destination.bytes.begin(), size,
              packet.begin() + static_cast<ptrdiff_t>(at + size));
}

/// The IP header in front of `tcp_size` bytes, which are zero yet. The identification is zero: the
/// packet may not be fragmented, so nobody needs one (RFC 6864 section 4.1).
Bytes ip_header(const Segment& segment, size_t tcp_size) {
  const bool v4 = segment.source.family == 4;
  Bytes packet((v4 ? 20 : 40) + tcp_size);
  if (v4) {
    packet[0] = 0x45;
    put16(packet, 2, static_cast<uint32_t>(packet.size()));
    put16(packet, 6, 0x4000);
    packet[8] = segment.hop_limit;
    packet[9] = kTcp;
    put_addresses(packet, 12, segment);
    put16(packet, 10, folded(sum_of(View(packet).first(20))));
  } else {
    packet[0] = 0x60;
    put16(packet, 4, static_cast<uint32_t>(tcp_size));
    packet[6] = kTcp;
    packet[7] = segment.hop_limit;
    put_addresses(packet, 8, segment);
  }
  return packet;
}

Bytes tcp_packet(const Segment& segment, uint8_t flags, const Bytes& options) {
  const size_t size = 20 + options.size();
  Bytes packet = ip_header(segment, size);
  const size_t at = packet.size() - size;
  put16(packet, at, segment.source_port);
  put16(packet, at + 2, segment.destination_port);
  put32(packet, at + 4, segment.sequence);
  packet[at + 12] = static_cast<uint8_t>(size / 4 << 4);
  packet[at + 13] = flags;
  put16(packet, at + 14, (flags & kSyn) != 0 ? kWindow : 0);
  std::copy(options.begin(), options.end(), packet.begin() + static_cast<ptrdiff_t>(at + 20));
  const size_t addresses = 2 * segment.source.size();
  put16(packet, at + 16, folded(sum_of(View(packet).subspan(at - addresses)) + kTcp + size));
  return packet;
}

/// An IP packet's outermost parts.
struct Ip {
  Address source;
  Address destination;
  uint8_t protocol = 0;
  View payload;
};

Address address_at(View packet, size_t at, int family) {
  Address address;
  address.family = family;
  std::copy_n(packet.begin() + static_cast<ptrdiff_t>(at), address.size(), address.bytes.begin());
  return address;
}

/// `whole`: false for what ICMP quotes, which is cut.
std::optional<Ip> parse_ip(View packet, bool whole) {
  if (packet.size() < 20) return std::nullopt;
  const int family = packet[0] >> 4;
  const size_t header = family == 4 ? (packet[0] & 15U) * 4 : 40;
  if ((family != 4 && family != 6) || header < 20 || packet.size() < header) return std::nullopt;
  if (family == 4 && (get16(packet, 6) & 0x1fff) != 0) return std::nullopt;  // a later fragment
  const size_t total = family == 4 ? get16(packet, 2) : header + get16(packet, 4);
  if (total < header || (whole && total > packet.size())) return std::nullopt;
  Ip ip;
  const size_t at = family == 4 ? 12 : 8;
  ip.source = address_at(packet, at, family);
  ip.destination = address_at(packet, at + ip.source.size(), family);
  ip.protocol = family == 4 ? packet[9] : packet[6];
  ip.payload = packet.first(std::min(total, packet.size())).subspan(header);
  return ip;
}

void read_options(View options, Reply& reply) {
  const uint8_t* first = options.data();
  const auto length = static_cast<uint32_t>(options.size());
  const uint32_t found = tfo_walk_options(first, first + length, length);
  if (tfo_found_state(found) == TFO_STATE_NONE) return;
  const uint32_t kind = tfo_found_kind(found);
  reply.option_kind = kind == TFO_OPTION_254 ? TFO_TCPOPT_EXP : TFO_TCPOPT_FASTOPEN;
  const View cookie =
      options.subspan(tfo_found_offset(found) + tfo_option_base(kind), tfo_found_cookie_len(found));
  reply.cookie.assign(cookie.begin(), cookie.end());
}

std::optional<Reply> parse_tcp(const Ip& ip) {
  const View tcp = ip.payload;
  if (tcp.size() < 20) return std::nullopt;
  const size_t header = (tcp[12] >> 4) * 4U;
  if (header < 20 || header > tcp.size()) return std::nullopt;
  const uint8_t flags = tcp[13] & (kSyn | kRst | kAck);
  if (flags != (kSyn | kAck) && flags != (kRst | kAck)) return std::nullopt;
  Reply reply;
  reply.kind = flags == (kSyn | kAck) ? ReplyKind::syn_ack : ReplyKind::reset;
  reply.from = ip.source;
  reply.asked.source = ip.destination;
  reply.asked.destination = ip.source;
  reply.asked.source_port = static_cast<uint16_t>(get16(tcp, 2));
  reply.asked.destination_port = static_cast<uint16_t>(get16(tcp, 0));
  reply.asked.sequence = get32(tcp, 8) - 1;
  if (reply.kind == ReplyKind::syn_ack) read_options(tcp.subspan(20, header - 20), reply);
  return reply;
}

/// RFC 792, RFC 1812 section 5.2.7.1.
std::string words_of_icmp4(unsigned type, unsigned code) {
  if (type == 11) return "time to live exceeded";
  switch (code) {
    case 0:
      return "network unreachable";
    case 1:
      return "host unreachable";
    case 2:
      return "protocol unreachable";
    case 3:
      return "port unreachable";
    case 9:
    case 10:
    case 13:
      return "administratively prohibited";
  }
  return "destination unreachable, code " + std::to_string(code);
}

/// RFC 4443 section 3.1.
std::string words_of_icmp6(unsigned type, unsigned code) {
  if (type == 3) return "hop limit exceeded";
  switch (code) {
    case 0:
      return "no route to destination";
    case 1:
      return "administratively prohibited";
    case 3:
      return "address unreachable";
    case 4:
      return "port unreachable";
  }
  return "destination unreachable, code " + std::to_string(code);
}

std::optional<Reply> parse_icmp(const Ip& ip) {
  const View icmp = ip.payload;
  if (icmp.size() < 8) return std::nullopt;
  const bool v4 = ip.source.family == 4;
  const unsigned type = icmp[0];
  const unsigned code = icmp[1];
  const bool exceeded = type == (v4 ? 11U : 3U) && code == 0;
  if (!exceeded && type != (v4 ? 3U : 1U)) return std::nullopt;
  const auto quoted = parse_ip(icmp.subspan(8), false);
  if (!quoted || quoted->protocol != kTcp || quoted->payload.size() < 8) return std::nullopt;
  Reply reply;
  reply.kind = ReplyKind::unreachable;
  reply.from = ip.source;
  reply.asked.source = quoted->source;
  reply.asked.destination = quoted->destination;
  reply.asked.source_port = static_cast<uint16_t>(get16(quoted->payload, 0));
  reply.asked.destination_port = static_cast<uint16_t>(get16(quoted->payload, 2));
  reply.asked.sequence = get32(quoted->payload, 4);
  reply.reason = v4 ? words_of_icmp4(type, code) : words_of_icmp6(type, code);
  reply.hop_limit_exceeded = exceeded;
  return reply;
}

}  // namespace

std::vector<uint8_t> cookie_request(const Segment& segment) {
  const uint16_t mss = segment.source.family == 4 ? kMss4 : kMss6;
  return tcp_packet(segment, kSyn,
                    {2, 4, static_cast<uint8_t>(mss >> 8), static_cast<uint8_t>(mss),  // MSS
                     TFO_TCPOPT_FASTOPEN, 2, TFO_TCPOPT_NOP, TFO_TCPOPT_NOP});
}

std::vector<uint8_t> reset(const Segment& segment) { return tcp_packet(segment, kRst, {}); }

std::optional<Reply> parse_reply(std::span<const uint8_t> packet) {
  const auto ip = parse_ip(packet, true);
  if (!ip) return std::nullopt;
  if (ip->protocol == kTcp) return parse_tcp(*ip);
  if (ip->protocol == (ip->source.family == 4 ? kIcmp : kIcmp6)) return parse_icmp(*ip);
  return std::nullopt;
}

}  // namespace tfo::audit
