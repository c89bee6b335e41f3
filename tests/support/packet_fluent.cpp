// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <utility>

#include "tests/support/packet.h"

namespace tfo::test {

Packet Packet::syn(const std::string& source, const std::string& destination) {
  return syn(Address::of(source), Address::of(destination));
}

Packet Packet::syn(const Address& source, const Address& destination) {
  Packet packet;
  packet.ip.source = source;
  packet.ip.destination = destination;
  return packet;
}

Packet& Packet::l3() {
  link.present = false;
  return *this;
}

Packet& Packet::tag(uint16_t protocol, uint16_t control) {
  link.tags.push_back({protocol, control});
  return *this;
}

Packet& Packet::ports(uint16_t source, uint16_t destination) {
  tcp.source = source;
  tcp.destination = destination;
  return *this;
}

Packet& Packet::flags(uint8_t flags) {
  tcp.flags = flags;
  return *this;
}

Packet& Packet::option(View bytes) {
  tcp.options.insert(tcp.options.end(), bytes.begin(), bytes.end());
  return *this;
}

Packet& Packet::data(size_t count) { return data(pattern(count)); }

Packet& Packet::data(Bytes bytes) {
  payload = std::move(bytes);
  return *this;
}

Packet& Packet::doff(uint8_t words) {
  tcp.doff = words;
  return *this;
}

Packet& Packet::cut_tcp(size_t bytes) {
  tcp.cut = bytes;
  return *this;
}

Packet& Packet::ip_options(Bytes bytes) {
  ip.options = std::move(bytes);
  return *this;
}

Packet& Packet::extension(uint8_t kind, Bytes body) {
  ip.extensions.push_back({kind, std::move(body), {}});
  return *this;
}

namespace {

void set_fragment(IpLayer& ip, const Fragment& fragment) {
  if (ip.destination.v6) {
    ip.extensions.push_back({kFragmentHeader, {}, fragment});
  } else {
    ip.fragment = fragment;
  }
}

std::string fragment_text(const Fragment& fragment) {
  return fmt::format("[{},{}){}", fragment.first,
                     fragment.last == SIZE_MAX ? "end" : std::to_string(fragment.last),
                     fragment.more ? "+" : "");
}

std::string ip_text(const IpLayer& ip) {
  std::string text = fmt::format("{}(src={}, dst={}", ip.destination.v6 ? "IPv6" : "IP",
                                 ip.source.text(), ip.destination.text());
  if (!ip.options.empty()) text += ", options=" + to_hex(ip.options);
  if (ip.fragment) text += ", fragment=" + fragment_text(*ip.fragment);
  if (ip.version) text += fmt::format(", version={}", *ip.version);
  if (ip.header_words) text += fmt::format(", ihl={}", *ip.header_words);
  if (ip.protocol) text += fmt::format(", proto={}", *ip.protocol);
  if (ip.length) text += fmt::format(", len={}", *ip.length);
  for (const Extension& extension : ip.extensions) {
    text += fmt::format(", ext {}={}", extension.kind,
                        extension.kind == kFragmentHeader ? fragment_text(extension.fragment)
                                                          : to_hex(extension.body));
  }
  return text + ")";
}

std::string tunnel_text(const TunnelLayer& tunnel) {
  std::string text = ip_text(tunnel.ip) + " / ";
  if (tunnel.kind == TunnelKind::kIp) return text;
  text += fmt::format("UDP(dport={}) / GUE(variant={}, hlen={}, C={}", tunnel.port,
                      tunnel.kind == TunnelKind::kGue0 ? 0 : 1, tunnel.words, tunnel.control);
  if (tunnel.protocol) text += fmt::format(", proto={}", *tunnel.protocol);
  if (tunnel.first_byte) text += fmt::format(", first={:#04x}", *tunnel.first_byte);
  if (tunnel.cut) text += fmt::format(", cut={}", *tunnel.cut);
  return text + ") / ";
}

std::string tcp_text(const TcpLayer& tcp) {
  constexpr std::string_view kNames = "FSRPAUEC";
  std::string flags;
  for (size_t bit = 0; bit < kNames.size(); bit++) {
    if ((tcp.flags >> bit & 1) != 0) flags += kNames[bit];
  }
  std::string text = fmt::format("TCP(sport={}, dport={}, flags={}, options={}", tcp.source,
                                 tcp.destination, flags, to_hex(tcp.options));
  if (tcp.doff) text += fmt::format(", doff={}", *tcp.doff);
  if (tcp.cut) text += fmt::format(", cut={}", *tcp.cut);
  return text + ")";
}

}  // namespace

Packet& Packet::fragment(size_t first, size_t last, bool more) {
  set_fragment(ip, {first, last, more});
  return *this;
}

Packet& Packet::ip_length(uint16_t length) {
  ip.length = length;
  return *this;
}

Packet& Packet::ip_protocol(uint8_t protocol) {
  ip.protocol = protocol;
  return *this;
}

Packet& Packet::in_ip(const std::string& source, const std::string& destination) {
  tunnel.emplace();
  tunnel->ip.source = Address::of(source);
  tunnel->ip.destination = Address::of(destination);
  return *this;
}

Packet& Packet::in_gue(const std::string& source, const std::string& destination, uint8_t variant,
                       uint8_t words) {
  in_ip(source, destination);
  tunnel->kind = variant == 0 ? TunnelKind::kGue0 : TunnelKind::kGue1;
  tunnel->words = words;
  return *this;
}

Packet& Packet::fragment_outer(size_t first, size_t last, bool more) {
  set_fragment(tunnel->ip, {first, last, more});
  return *this;
}

Packet& Packet::trailer(Bytes bytes) {
  tail = std::move(bytes);
  return *this;
}

Packet& Packet::cut_frame(size_t from_end) {
  lost = from_end;
  return *this;
}

std::string Packet::text() const {
  std::string text = link.present ? "Ether()" : "";
  for (const VlanTag& tag : link.tags) {
    text += fmt::format("/Dot1Q({:#06x}, {:#06x})", tag.protocol, tag.control);
  }
  if (link.ethertype) text += fmt::format("/type={:#06x}", *link.ethertype);
  if (!text.empty()) text += " / ";
  if (tunnel) text += tunnel_text(*tunnel);
  text += ip_text(ip) + " / " + tcp_text(tcp);
  if (!payload.empty()) {
    text += fmt::format(" / Raw({} bytes {})", payload.size(),
                        to_hex(View(payload).first(std::min<size_t>(payload.size(), 24))));
  }
  if (!tail.empty()) text += fmt::format(" / Padding({})", to_hex(tail));
  if (lost != 0) text += fmt::format(" minus {} bytes", lost);
  return text;
}

}  // namespace tfo::test
