// SPDX-License-Identifier: BSD-2-Clause
#include "loader/replay/header_rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace tfo {
namespace {

struct Name {
  uint8_t number;
  const char* text;
};
constexpr Name kProtocols[] = {{0, "hop-by-hop options"},
                               {1, "ICMP"},
                               {2, "IGMP"},
                               {4, "IPv4 in IP"},
                               {6, "TCP"},
                               {17, "UDP"},
                               {41, "IPv6 in IP"},
                               {43, "a routing header"},
                               {44, "a fragment header"},
                               {47, "GRE"},
                               {50, "ESP"},
                               {51, "an authentication header"},
                               {58, "ICMPv6"},
                               {59, "no next header"},
                               {60, "destination options"},
                               {132, "SCTP"}};
constexpr Name kFlags[] = {{0x02, "SYN"}, {0x10, "ACK"}, {0x01, "FIN"}, {0x04, "RST"},
                           {0x08, "PSH"}, {0x20, "URG"}, {0x40, "ECE"}, {0x80, "CWR"}};

uint32_t segment_length(const TcpHeader& tcp, const tfo_packet& packet) {
  return packet.ip_end - tcp.offset;
}

std::string truncated(const TcpHeader& tcp, const tfo_packet& packet) {
  const std::string what =
      fmt::format("The IP packet ends {} bytes into a TCP header of {}",
                  segment_length(tcp, packet), std::max<uint32_t>(tcp.length, TFO_TCP_LEN));
  if (packet.first_fragment != 0) {
    return what +
           " and goes on in other fragments: RFC 7112 wants all headers in the first one, a server "
           "that joins them may take it all the same (ip_defrag())";
  }
  return what + ": the servers drop it (tcp_v4_rcv(), tcp_v6_rcv())";
}

std::string other(const TcpHeader& tcp) {
  const uint8_t flags = tcp.flags & (TFO_TCP_FIN | TFO_TCP_SYN | TFO_TCP_RST | TFO_TCP_ACK);
  if (tcp.length < TFO_TCP_LEN) {
    return fmt::format(
        "A data offset of {} words is less than a TCP header has: the servers drop it "
        "(tcp_v4_rcv(), tcp_v6_rcv())",
        tcp.length / 4);
  }
  if ((flags & TFO_TCP_SYN) == 0) {
    return "Neither a SYN nor a SYN-ACK: Fast Open is settled in these two alone (RFC 7413 section "
           "4.2)";
  }
  return fmt::format("A SYN with {}: {} (tcp_rcv_state_process())",
                     flag_names(flags & ~TFO_TCP_SYN),
                     (flags & TFO_TCP_ACK) != 0 ? "no listener opens a connection with it"
                                                : "a listener drops it without an answer");
}

}  // namespace

std::string protocol_name(uint8_t protocol) {
  const auto* name = std::ranges::find(kProtocols, protocol, &Name::number);
  return name == std::end(kProtocols) ? fmt::format("protocol {}", protocol) : name->text;
}

std::string flag_names(uint8_t flags) {
  std::string text;
  for (const Name& flag : kFlags) {
    if ((flags & flag.number) != 0) text += (text.empty() ? "" : ", ") + std::string(flag.text);
  }
  return text.empty() ? "none" : text;
}

std::string HeaderRules::no_ip(const tfo_layer& at, bool in_fragment,
                               const std::vector<IpHeader>& headers) const {
  const bool v4 = at.next == TFO_ETH_IPV4;
  if (at.next == 0) return "What follows the link header is neither IPv4 nor IPv6";
  if (!v4 && at.next != TFO_ETH_IPV6) {
    return at.limit == ~0U ? fmt::format("Ethertype 0x{:04x} is neither IPv4 nor IPv6", at.next)
                           : "The tunnel carries neither IPv4 nor IPv6";
  }
  const uint8_t* header = tfo_at(frame_, at.offset, v4 ? 20 : 40);
  if (header == nullptr) return fmt::format("The frame ends within the IPv{} header", v4 ? 4 : 6);
  if (header[0] >> 4 != (v4 ? 4 : 6)) {
    return fmt::format("The IPv{0} header says version {1}: the servers drop it ({2}_rcv_core())",
                       v4 ? 4 : 6, header[0] >> 4, v4 ? "ip" : "ip6");
  }
  return v4 ? no_ipv4(at, in_fragment) : no_ipv6(at, in_fragment, headers.back());
}

std::string HeaderRules::too_long(const tfo_layer& at, bool in_fragment, uint32_t end,
                                  const char* function) const {
  if (end > at.limit && in_fragment) end = at.limit;
  const bool carried = end > at.limit;
  const uint32_t limit = carried ? at.limit : tfo_frame_len(frame_);
  if (end <= limit) return "";
  return fmt::format("The IP length reaches {} bytes beyond {}: the servers drop it ({}())",
                     end - limit, carried ? "the packet around it" : "the frame", function);
}

std::string HeaderRules::no_ipv4(const tfo_layer& at, bool in_fragment) const {
  const uint8_t* header = tfo_at(frame_, at.offset, 20);
  const uint32_t header_length = (header[0] & 15) * 4;
  const uint32_t total = tfo_be16(tfo_load16(header + 2));
  if (header_length < 20) {
    return fmt::format(
        "An IPv4 header length of {} bytes is less than 20: the servers drop it (ip_rcv_core())",
        header_length);
  }
  if (total < header_length) {
    return fmt::format(
        "A total length of {} bytes is less than the IPv4 header's {}: the servers drop it "
        "(ip_rcv_core())",
        total, header_length);
  }
  std::string rule = too_long(at, in_fragment, at.offset + total, "ip_rcv_core");
  if (!rule.empty()) return rule;
  return fmt::format("A later fragment of a packet that does not carry TCP but {}",
                     protocol_name(header[9]));
}

std::string HeaderRules::no_ipv6(const tfo_layer& at, bool in_fragment, const IpHeader& ip) const {
  if (ip.end == ip.offset + ip.length) {
    return "A payload length of 0: either nothing follows the IPv6 header or a jumbogram, which is "
           "no SYN (RFC 2675)";
  }
  std::string rule = too_long(at, in_fragment, ip.end, "ip6_rcv_core");
  return rule.empty() ? bad_extension(ip) : rule;
}

/// In the order of tfo_parse_ipv6(), which stops at the first that is wrong.
std::string HeaderRules::bad_extension(const IpHeader& ip) const {
  const uint32_t end = std::min(ip.end, tfo_frame_len(frame_));
  int fragments = 0;
  for (const ExtensionHeader& extension : ip.extensions) {
    const uint8_t* header = tfo_at(frame_, extension.offset, 8);
    if (extension.kind == TFO_IPPROTO_FRAGMENT && fragments++ != 0) {
      return "A fragment within a fragment: the servers drop it (ipv6_frag_rcv())";
    }
    if (extension.kind == TFO_IPPROTO_FRAGMENT && ip.fragment_offset != 0) break;
    if (extension.kind == TFO_IPPROTO_ROUTING && header[3] != 0) {
      return fmt::format(
          "A source route with {} stops left is not for this node (ipv6_rthdr_rcv())", header[3]);
    }
    if (extension.offset + extension.length > end) {
      return fmt::format("The packet ends within its extension header at byte {}",
                         extension.offset);
    }
  }
  if (ip.fragment_offset != 0) {
    return fmt::format("A later fragment of a packet that does not carry TCP but {}",
                       protocol_name(ip.protocol));
  }
  return "The packet ends within its extension headers";
}

std::string HeaderRules::fragment(const IpHeader& ip) {
  return fmt::format(
      "A fragment from byte {} of its packet on: the TCP header went with the first one, the "
      "servers join them ({}())",
      ip.fragment_offset, ip.family == 4 ? "ip_defrag" : "ipv6_frag_rcv");
}

std::string HeaderRules::no_tcp(const std::vector<IpHeader>& headers) const {
  const IpHeader& ip = headers.back();
  const std::string what =
      fmt::format("The {}IPv{} packet carries {}", headers.size() > 1 ? "inner " : "", ip.family,
                  protocol_name(ip.protocol));
  if (ip.protocol == TFO_IPPROTO_IPIP || ip.protocol == TFO_IPPROTO_IPV6) {
    return what + (headers.size() > 1 ? ", a second tunnel: one is looked into"
                                      : ", into which this interface does not look (decap ipip)");
  }
  if (ip.family == 6 && ip.protocol == TFO_IPPROTO_HOPOPTS) {
    return what + " behind another extension header: the servers drop it (RFC 8200 section 4.1)";
  }
  if (ip.extensions.size() == TFO_MAX_EXTENSIONS && tfo_is_extension(ip.protocol) != 0) {
    return fmt::format("More than {} extension headers: nobody who opens a connection sends them",
                       TFO_MAX_EXTENSIONS);
  }
  return what + ", not TCP";
}

std::string HeaderRules::no_gue(const tfo_layer& at, __be16 port, const tfo_packet& packet) const {
  const uint8_t* header = tfo_at(frame_, at.offset, 12);
  if (header == nullptr || at.offset + 12 > packet.ip_end) {
    return "The UDP datagram is too short for a GUE header and a packet in it";
  }
  if (tfo_load16(header + 2) != port) {
    return fmt::format("UDP to port {} is not the tunnel, which is port {}",
                       tfo_be16(tfo_load16(header + 2)), tfo_be16(port));
  }
  if (header[8] >> 6 == 0) return "A GUE control message";
  return fmt::format("GUE of variant {}: only 0 and 1 carry packets", header[8] >> 6);
}

std::string HeaderRules::no_syn(int reason, const std::optional<TcpHeader>& tcp,
                                const tfo_packet& packet) {
  if (reason == TFO_TRUNCATED && !tcp) return "The IP packet ends within its TCP header";
  if (reason == TFO_NOT_TCP || !tcp) {
    return fmt::format(
        "The IP packet ends within the first {} bytes of its TCP header, which say what a segment "
        "is: the servers drop it (tcp_v4_rcv(), tcp_v6_rcv())",
        TFO_TCP_MIN);
  }
  if (reason == TFO_TRUNCATED) return truncated(*tcp, packet);
  if (reason == TFO_OTHER) return other(*tcp);
  return "A server's answer: a cookie in it is for the client to keep (RFC 7413 section 4.1.3)";
}

}  // namespace tfo
