// SPDX-License-Identifier: BSD-2-Clause
#include "loader/replay/headers.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "bpf/parse.h"
#include "loader/replay/description.h"
#include "loader/replay/header_rules.h"

namespace tfo {
namespace {

constexpr uint8_t kFragmentMore = 1;  // of an IPv6 fragment header's offset field

std::string address_at(int family, const uint8_t* at) {
  std::array<uint8_t, 16> address{};
  std::memcpy(address.data(), at, family == 4 ? 4 : 16);
  return address_text(family, address);
}

/// From layer to layer with the pieces that tfo_parse() is made of, noting what they see.
class Walk {
 public:
  Walk(const EthernetFrame& frame, const tfo_load_config& config)
      : length_(frame.wire_length),
        config_(config),
        core_{.data = frame.bytes.data(),
              .end = frame.bytes.data() + frame.bytes.size(),
              .context = &length_},
        rules_(core_) {}

  Headers run() {
    headers_.parsed = way();
    if (headers_.parsed == TFO_INTERNAL_ERROR) {
      headers_.rule = fmt::format(
          "Headers that decide lie in the part that the capture left out: {} of {} bytes are here",
          core_.end - core_.data, length_);
    }
    return std::move(headers_);
  }

 private:
  int way();
  int link(tfo_layer& layer);
  int ip(tfo_layer& layer, uint8_t decap);
  int gue(tfo_layer& layer);
  int tcp(const tfo_layer& layer);
  void note_ip(const tfo_layer& layer);
  void note_ipv4(IpHeader& ip, const uint8_t* header) const;
  void note_ipv6(IpHeader& ip, const uint8_t* header) const;
  void note_fragment(IpHeader& ip, const uint8_t* header) const;
  void note_tcp(uint32_t offset);
  /// Keeps `rule` unless the packet goes on.
  int judged(int reason, std::string rule) {
    if (reason >= 0) headers_.rule = std::move(rule);
    return reason;
  }

  __u32 length_;
  tfo_load_config config_;
  tfo_frame core_;
  HeaderRules rules_;
  Headers headers_;
};

int Walk::way() {
  tfo_layer layer{.offset = 0, .limit = ~0U, .next = 0, .fragmented = 0};
  if (core_.end - core_.data < TFO_ETH_LEN) {
    return length_ < TFO_ETH_LEN ? judged(TFO_NOT_TCP, "The frame ends within its Ethernet header")
                                 : TFO_INTERNAL_ERROR;
  }
  int reason = link(layer);
  if (reason < 0) reason = ip(layer, config_.decap);
  if (reason < 0 && tfo_is_decapsulated(config_.decap, layer.next)) {
    if (layer.next == TFO_IPPROTO_UDP) reason = gue(layer);
    if (layer.next == TFO_IPPROTO_IPIP) layer.next = TFO_ETH_IPV4;
    if (layer.next == TFO_IPPROTO_IPV6) layer.next = TFO_ETH_IPV6;
    if (reason < 0 && layer.offset + 20 > headers_.packet.ip_end) {
      return judged(TFO_NOT_TCP, "The outer packet ends before another IP header");
    }
    layer.limit = headers_.packet.ip_end;
    if (reason < 0) reason = ip(layer, 0);
  }
  if (reason >= 0) return reason;
  if (layer.next != TFO_IPPROTO_TCP) return judged(TFO_NOT_TCP, rules_.no_tcp(headers_.ip));
  return tcp(layer);
}

int Walk::link(tfo_layer& layer) {
  const int reason = tfo_parse_link(&core_, 0, &layer);
  headers_.ethertype = tfo_be16(tfo_load16(core_.data + 12));
  for (uint32_t at = TFO_ETH_LEN; tfo_is_vlan(headers_.ethertype) && headers_.tags.size() < 2;
       at += TFO_VLAN_LEN) {
    const uint8_t* tag = tfo_at(&core_, at, TFO_VLAN_LEN);
    if (tag == nullptr) break;
    const uint16_t control = tfo_be16(tfo_load16(tag));
    headers_.tags.push_back({.offset = at,
                             .protocol = headers_.ethertype,
                             .vlan = static_cast<uint16_t>(control & 0xfff)});
    headers_.ethertype = tfo_be16(tfo_load16(tag + 2));
  }
  return judged(reason, "The frame ends within its VLAN tags");
}

int Walk::ip(tfo_layer& layer, uint8_t decap) {
  const tfo_layer before = layer;
  note_ip(before);
  const bool fragment = headers_.packet.first_fragment != 0;
  const int reason = tfo_parse_ip(&core_, decap, &headers_.packet, &layer);
  if (reason < 0) return reason;
  return judged(reason, reason == TFO_FRAGMENT ? rules_.fragment(headers_.ip.back())
                                               : rules_.no_ip(before, fragment, headers_.ip));
}

void Walk::note_ip(const tfo_layer& layer) {
  const bool v4 = layer.next == TFO_ETH_IPV4;
  if (!v4 && layer.next != TFO_ETH_IPV6) return;
  const uint8_t* header = tfo_at(&core_, layer.offset, v4 ? 20 : 40);
  if (header == nullptr || header[0] >> 4 != (v4 ? 4 : 6)) return;
  IpHeader ip{.family = v4 ? 4 : 6,
              .offset = layer.offset,
              .source = address_at(v4 ? 4 : 6, header + (v4 ? 12 : 8)),
              .destination = address_at(v4 ? 4 : 6, header + (v4 ? 16 : 24)),
              .extensions = {}};
  v4 ? note_ipv4(ip, header) : note_ipv6(ip, header);
  headers_.ip.push_back(std::move(ip));
}

void Walk::note_ipv4(IpHeader& ip, const uint8_t* header) const {
  const uint16_t fragment = tfo_be16(tfo_load16(header + 6));
  ip.length = (header[0] & 15) * 4;
  ip.end = ip.offset + tfo_be16(tfo_load16(header + 2));
  ip.protocol = header[9];
  ip.fragment = (fragment & 0x3fff) != 0;
  ip.more_fragments = (fragment & 0x2000) != 0;
  ip.fragment_offset = (fragment & 0x1fff) * 8;
}

void Walk::note_ipv6(IpHeader& ip, const uint8_t* header) const {
  ip.length = 40;
  ip.end = ip.offset + 40 + tfo_be16(tfo_load16(header + 4));
  ip.protocol = header[6];
  uint32_t at = ip.offset + 40;
  bool in_fragment = false;
  while (ip.extensions.size() < TFO_MAX_EXTENSIONS && ip.fragment_offset == 0) {
    const bool first = ip.extensions.empty();
    if (!tfo_is_extension(ip.protocol) && (!first || ip.protocol != TFO_IPPROTO_HOPOPTS)) break;
    const bool fragment = ip.protocol == TFO_IPPROTO_FRAGMENT;
    if (fragment && in_fragment) {  // refused for being there: it is not read
      ip.extensions.push_back({.kind = ip.protocol, .offset = at, .length = 8});
      break;
    }
    const uint8_t* extension = at + 8 > ip.end ? nullptr : tfo_at(&core_, at, 8);
    if (extension == nullptr) break;
    const uint32_t length = fragment ? 8 : (extension[1] + 1) * 8;
    ip.extensions.push_back({.kind = ip.protocol, .offset = at, .length = length});
    if (fragment) note_fragment(ip, extension);
    in_fragment |= fragment;
    ip.protocol = extension[0];
    at += length;
  }
}

void Walk::note_fragment(IpHeader& ip, const uint8_t* header) const {
  const uint16_t fragment = tfo_be16(tfo_load16(header + 2));
  ip.more_fragments = (fragment & kFragmentMore) != 0;
  ip.fragment_offset = fragment & ~7U;
  ip.fragment = ip.more_fragments || ip.fragment_offset != 0;
}

int Walk::gue(tfo_layer& layer) {
  const tfo_layer before = layer;
  const int reason = tfo_parse_gue(&core_, config_.gue_port, &headers_.packet, &layer);
  if (reason >= 0) return judged(reason, rules_.no_gue(before, config_.gue_port, headers_.packet));
  const uint8_t* header = core_.data + before.offset;
  headers_.gue = GueHeader{.offset = before.offset,
                           .length = layer.offset - before.offset,
                           .port = tfo_be16(tfo_load16(header + 2)),
                           .variant = header[8] >> 6};
  return reason;
}

int Walk::tcp(const tfo_layer& layer) {
  const int reason = tfo_parse_tcp(&core_, &headers_.packet, layer.offset);
  const tfo_packet& packet = headers_.packet;
  const bool enough = layer.offset + TFO_TCP_MIN <= packet.ip_end;
  if (enough && tfo_at(&core_, layer.offset, TFO_TCP_MIN) != nullptr) note_tcp(layer.offset);
  return judged(reason, HeaderRules::no_syn(reason, headers_.tcp, packet));
}

void Walk::note_tcp(uint32_t offset) {
  const uint8_t* header = core_.data + offset;
  const uint32_t segment = headers_.packet.ip_end - offset;
  TcpHeader tcp{.offset = offset,
                .source_port = tfo_be16(tfo_load16(header)),
                .destination_port = tfo_be16(tfo_load16(header + 2)),
                .sequence = ntohl(tfo_load32(header + 4)),
                .flags = header[13],
                .length = (header[12] >> 4) * 4U};
  tcp.data = segment - std::min(segment, std::max<uint32_t>(tcp.length, TFO_TCP_LEN));
  headers_.tcp = tcp;
}

}  // namespace

Headers walk_headers(const EthernetFrame& frame, const tfo_load_config& config) {
  return Walk(frame, config).run();
}

}  // namespace tfo
