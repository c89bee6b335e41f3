// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <utility>

#include "tests/support/cases.h"

namespace tfo::test {
namespace {

constexpr uint8_t kBoth = TFO_DECAP_IPIP | TFO_DECAP_GUE;

const Verdict kGoodInside = good_verdict(), kGoodDataInside = good_verdict(true);

struct Outer {
  const char* name;
  const char* source;
  const char* destination;
};
constexpr std::array kOuters = {Outer{"v4", "192.0.2.1", "192.0.2.2"},
                                Outer{"v6", "2001:db8::1", "2001:db8::2"}};

struct Form {
  const char* name;
  uint8_t decap;
  void (*wrap)(Packet& packet, const Outer& outer);
};
constexpr std::array kForms = {
    Form{"IP", TFO_DECAP_IPIP, [](Packet& p, const Outer& o) { p.in_ip(o.source, o.destination); }},
    Form{"GUE 0", TFO_DECAP_GUE,
         [](Packet& p, const Outer& o) { p.in_gue(o.source, o.destination, 0); }},
    Form{"GUE 0 with 1 word", TFO_DECAP_GUE,
         [](Packet& p, const Outer& o) { p.in_gue(o.source, o.destination, 0, 1); }},
    Form{"GUE 0 with 31 words", TFO_DECAP_GUE,
         [](Packet& p, const Outer& o) { p.in_gue(o.source, o.destination, 0, 31); }},
    Form{"GUE 1", TFO_DECAP_GUE,
         [](Packet& p, const Outer& o) { p.in_gue(o.source, o.destination, 1); }},
};

/// Calls `add(name, form, wrap)` for every form, inner family and outer family.
template <class Add>
void each_form(Add add) {
  for (const Form& form : kForms) {
    for (const Side& side : kSides) {
      for (const Outer& outer : kOuters) {
        add(fmt::format("{} in {} {}", side.name, form.name, outer.name), form, side, outer);
      }
    }
  }
}

Packet wrapped(Packet packet, const Form& form, const Outer& outer) {
  form.wrap(packet, outer);
  return packet;
}

void add_whole(Cases& cases) {
  each_form([&](const std::string& name, const Form& form, const Side& side, const Outer& outer) {
    const auto add = [&](const std::string& what, const Packet& packet, const Verdict& want) {
      cases.push_back({name + ": " + what, packet, want, form.decap});
      cases.push_back({name + ", no Ethernet: " + what, Packet(packet).l3(), want, kBoth});
    };
    const auto tunnel = [&](Packet packet) { return wrapped(std::move(packet), form, outer); };
    add("cookie", tunnel(cookie_syn(side)), kGoodInside);
    add("cookie and data", tunnel(cookie_syn(side, 20)), kGoodDataInside);
    add("padded", tunnel(cookie_syn(side)).trailer(pattern(7)), kGoodInside);
    add("tagged", tunnel(cookie_syn(side)).tag(kQinQ).tag(), kGoodInside);
    add("ACK", tunnel(cookie_syn(side).flags(kAck)), node(TFO_OTHER));
    add("SYN-ACK", tunnel(cookie_syn(side).flags(kAck | kSyn)), node(TFO_SYN_ACK));
    add("no VIP", tunnel(cookie_syn(side).ports(1, 9)), node(TFO_NOT_VIP));
    add("cut TCP", tunnel(cookie_syn(side).cut_tcp(25)), node(TFO_TRUNCATED));
    add("short TCP", tunnel(cookie_syn(side).cut_tcp(13)), node(TFO_NOT_TCP));
    add("UDP inside", tunnel(cookie_syn(side).ip_protocol(17)), node(TFO_NOT_TCP));
    add("IPv4 again inside", tunnel(cookie_syn(side).ip_protocol(4)), node(TFO_NOT_TCP));
    add("IPv6 again inside", tunnel(cookie_syn(side).ip_protocol(41)), node(TFO_NOT_TCP));
    add("inner fragment", tunnel(cookie_syn(side, 20).fragment(16)), node(TFO_FRAGMENT));
    add("inner first fragment", tunnel(cookie_syn(side, 20).fragment(0, 32)), kGoodDataInside);
    add("inner later fragment of UDP", tunnel(cookie_syn(side, 20).ip_protocol(17).fragment(16)),
        node(TFO_NOT_TCP));
    add("inner later fragment of IPv4", tunnel(cookie_syn(side, 20).ip_protocol(4).fragment(16)),
        node(TFO_NOT_TCP));
    cases.push_back({name + ", not looked into", tunnel(cookie_syn(side)), node(TFO_NOT_TCP), 0});
    cases.push_back({name + ", only the other form looked into", tunnel(cookie_syn(side)),
                     node(TFO_NOT_TCP), static_cast<uint8_t>(kBoth & ~form.decap)});
  });
}

/// The inner packet stays inside the outer one, whatever lies behind it in the frame.
void add_inner_lengths(Cases& cases) {
  each_form([&](const std::string& name, const Form& form, const Side& side, const Outer& outer) {
    const auto add = [&](const std::string& what, Packet packet, const Verdict& want) {
      cases.push_back({name + ": " + what, wrapped(std::move(packet), form, outer), want, kBoth});
    };
    const bool v6 = Address::of(side.web).v6;
    const int whole = (v6 ? 0 : 20) + 52;
    const auto length = [&](int by) { return static_cast<uint16_t>(whole + by); };
    add("inner length one more", cookie_syn(side, 20).ip_length(length(1)), node(TFO_NOT_TCP));
    add("inner length one more, padded",
        cookie_syn(side, 20).ip_length(length(1)).trailer(pattern(9)), node(TFO_NOT_TCP));
    add("inner length one less", cookie_syn(side, 20).ip_length(length(-1)), kGoodDataInside);
    add("inner length without data", cookie_syn(side, 20).ip_length(length(-20)), kGoodInside);
    add("inner length within the header", cookie_syn(side, 20).ip_length(length(-21)),
        node(TFO_TRUNCATED));
    for (int version : {0, 5, v6 ? 4 : 6}) {
      Packet packet = cookie_syn(side);
      packet.ip.version = static_cast<uint8_t>(version);
      add(fmt::format("inner version {}", version), packet, node(TFO_NOT_TCP));
    }
    Packet outer_long = wrapped(cookie_syn(side), form, outer);
    outer_long.tunnel->ip.length = 2000;
    cases.push_back({name + ": outer length too long", outer_long, node(TFO_NOT_TCP), kBoth});
    Packet outer_short = wrapped(cookie_syn(side), form, outer);
    const size_t headers =
        (outer_short.link.present ? 14 : 0) + (outer.destination[4] == ':' ? 40 : 20);
    const size_t carried = outer_short.frame().size() - headers;
    outer_short.tunnel->ip.length =
        static_cast<uint16_t>(carried - 1 + (outer.destination[4] == ':' ? 0 : 20));
    cases.push_back({name + ": outer length one less", outer_short, node(TFO_NOT_TCP), kBoth});
  });
}

void add_gue_headers(Cases& cases) {
  for (const Side& side : kSides) {
    for (const Outer& outer : kOuters) {
      const auto add = [&](const std::string& what, auto change, const Verdict& want) {
        Packet packet = cookie_syn(side).in_gue(outer.source, outer.destination);
        change(*packet.tunnel);
        cases.push_back(
            {fmt::format("{} in {} {}", side.name, outer.name, what), packet, want, TFO_DECAP_GUE});
      };
      add("another UDP port", [](TunnelLayer& t) { t.port = 6081; }, node(TFO_NOT_TCP));
      add("the port's bytes swapped", [](TunnelLayer& t) { t.port = 0xc017; }, node(TFO_NOT_TCP));
      add("control message", [](TunnelLayer& t) { t.control = true; }, node(TFO_NOT_TCP));
      for (int first : {0x80, 0xc0}) {
        add(
            "variant 2 or 3", [&](TunnelLayer& t) { t.first_byte = static_cast<uint8_t>(first); },
            node(TFO_NOT_TCP));
      }
      for (int protocol : {0, 6, 17, 59, 60, Address::of(side.web).v6 ? 4 : 41}) {
        add(
            fmt::format("GUE protocol {}", protocol),
            [&](TunnelLayer& t) { t.protocol = static_cast<uint8_t>(protocol); },
            node(TFO_NOT_TCP));
      }
      add("hlen past the end", [](TunnelLayer& t) { t.first_byte = 0x1f; }, node(TFO_NOT_TCP));
      for (size_t cut : {0, 4, 7, 8, 9, 11, 12, 13}) {
        if (cut == 0 && outer.destination[4] == ':') continue;  // payload length 0
        add(
            fmt::format("UDP cut to {} bytes", cut), [&](TunnelLayer& t) { t.cut = cut; },
            node(TFO_NOT_TCP));
      }
    }
  }
}

}  // namespace

Cases tunnel_cases() {
  Cases cases;
  add_whole(cases);
  add_inner_lengths(cases);
  add_gue_headers(cases);
  for (const Side& side : kSides) {
    Packet routed = cookie_syn(side).in_ip(kOuters[1].source, kOuters[1].destination);
    routed.tunnel->ip.extensions.push_back({kDestinationOptions, Bytes{0, 4, 1, 4, 1, 1, 0}, {}});
    cases.push_back({fmt::format("{} behind a tunnel encapsulation limit", side.name), routed,
                     kGoodInside, TFO_DECAP_IPIP});
    Packet optioned = cookie_syn(side).in_ip(kOuters[0].source, kOuters[0].destination);
    optioned.tunnel->ip.options = Bytes(8, 1);
    cases.push_back({fmt::format("{} behind outer IPv4 options", side.name), optioned, kGoodInside,
                     TFO_DECAP_IPIP});
  }
  return cases;
}

/// Fragments of the outer packet: the first one shows the inner headers, the others do not.
Cases tunnel_fragment_cases() {
  Cases cases;
  each_form([&](const std::string& name, const Form& form, const Side& side, const Outer& outer) {
    const auto add = [&](const std::string& what, const Packet& packet, const Verdict& want) {
      cases.push_back({name + ": " + what, packet, want, form.decap});
    };
    const Packet syn = wrapped(cookie_syn(side, 100), form, outer);
    const size_t carried =
        Packet(syn).l3().frame().size() - (outer.destination[4] == ':' ? 40 : 20);
    const size_t header_end = (carried - 100) / 8 * 8;  // at or before the end of the TCP header
    add("outer later fragment", Packet(syn).fragment_outer(16), node(TFO_FRAGMENT));
    add("outer first fragment ends in the data", Packet(syn).fragment_outer(0, header_end + 48),
        kGoodDataInside);
    add("outer first fragment ends in the TCP header",
        Packet(syn).fragment_outer(0, header_end - 8), node(TFO_TRUNCATED));
    const size_t shown = header_end - 24 - (carried - 132);  // of the TCP header's 32 bytes
    add("outer first fragment ends before the flags",
        Packet(syn).fragment_outer(0, header_end - 24),
        node(shown >= 8 ? TFO_TRUNCATED : TFO_NOT_TCP));
    add("outer first fragment ends in the inner IP header", Packet(syn).fragment_outer(0, 16),
        node(TFO_NOT_TCP));
    // The inner packet is whole, so its own length says what is data (the rest of the outer is cut
    // off when the inner packet is taken out).
    add("outer first fragment holds the whole inner packet",
        wrapped(cookie_syn(side), form, outer).fragment_outer(0, SIZE_MAX, true), kGoodInside);
    cases.push_back({name + ": outer later fragment, not looked into",
                     Packet(syn).fragment_outer(16), node(TFO_NOT_TCP), 0});
  });
  return cases;
}

}  // namespace tfo::test
