// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "tests/support/cases.h"

namespace tfo::test {
namespace {

constexpr const Side& kV4 = kSides[0];
constexpr const Side& kV6 = kSides[1];

const Verdict kGood = good_verdict(), kGoodData = good_verdict(true);

void add_ipv4_lies(Cases& cases) {
  const auto add = [&](const char* name, auto change, const Verdict& want) {
    Packet packet = cookie_syn(kV4, 20);  // total length 20 + 52
    change(packet);
    cases.push_back({name, packet, want});
  };
  for (uint8_t words = 0; words < 5; words++) {
    add("ihl below 5", [&](Packet& p) { p.ip.header_words = words; }, node(TFO_NOT_TCP));
  }
  add("total length 0", [](Packet& p) { p.ip_length(0); }, node(TFO_NOT_TCP));
  add("total length 19", [](Packet& p) { p.ip_length(19); }, node(TFO_NOT_TCP));
  add("total length 20", [](Packet& p) { p.ip_length(20); }, node(TFO_NOT_TCP));
  add("total length 33", [](Packet& p) { p.ip_length(33); }, node(TFO_NOT_TCP));
  add("total length 34", [](Packet& p) { p.ip_length(34); }, node(TFO_TRUNCATED));
  add("total length 51", [](Packet& p) { p.ip_length(51); }, node(TFO_TRUNCATED));
  add("total length 52", [](Packet& p) { p.ip_length(52); }, kGood);
  add("total length 53", [](Packet& p) { p.ip_length(53); }, kGoodData);
  add("total length 72", [](Packet& p) { p.ip_length(72); }, kGoodData);
  add("total length 73", [](Packet& p) { p.ip_length(73); }, node(TFO_NOT_TCP));
  add("total length 65535", [](Packet& p) { p.ip_length(65535); }, node(TFO_NOT_TCP));
  add("bad header checksum is the stack's business", [](Packet& p) { p.ip.id = 1; }, kGoodData);
  for (int protocol : {0, 1, 4, 17, 41, 43, 44, 47, 50, 51, 60, 132, 255}) {
    add(
        "not TCP by protocol", [&](Packet& p) { p.ip_protocol(static_cast<uint8_t>(protocol)); },
        node(TFO_NOT_TCP));
  }
}

void add_ipv4_options(Cases& cases) {
  for (size_t words = 1; words <= 10; words++) {
    // The option bytes read as TCP would be a SYN with a request.
    const Bytes options(words * 4, 1);
    cases.push_back({fmt::format("{} words of IPv4 options", words),
                     cookie_syn(kV4).ip_options(options), kGood});
    cases.push_back({fmt::format("{} words of IPv4 options, data, padded", words),
                     cookie_syn(kV4, 9).ip_options(options).trailer(pattern(3)), kGoodData});
    Packet lie = cookie_syn(kV4).ip_options(options);
    lie.ip_length(static_cast<uint16_t>(20 + words * 4 - 1));
    cases.push_back(
        {fmt::format("total length ends in {} words of options", words), lie, node(TFO_NOT_TCP)});
  }
}

/// Fragments of a segment of 32 + 20 bytes.
void add_fragments(Cases& cases, const Side& side) {
  const auto add = [&](const char* name, const Packet& packet, const Verdict& want) {
    cases.push_back({fmt::format("{} {}", name, side.name), packet, want});
  };
  const Packet syn = cookie_syn(side, 20);
  add("atomic fragment", Packet(syn).fragment(0), kGoodData);
  add("first fragment, 48 of 52 bytes", Packet(syn).fragment(0, 48), kGoodData);
  add("first fragment, the header alone", Packet(syn).fragment(0, 32), kGoodData);
  add("first fragment of a SYN whose data follows", cookie_syn(side).fragment(0, 32, true),
      kGoodData);
  add("first fragment, 24 bytes", Packet(syn).fragment(0, 24), node(TFO_TRUNCATED));
  add("first fragment, 16 bytes", Packet(syn).fragment(0, 16), node(TFO_TRUNCATED));
  add("first fragment, 8 bytes", Packet(syn).fragment(0, 8), node(TFO_TRUNCATED));
  add("first fragment, padded", Packet(syn).fragment(0, 32).trailer(pattern(20)), kGoodData);
  add("later fragment, more follow", Packet(syn).fragment(8, 24), node(TFO_FRAGMENT));
  add("last fragment", Packet(syn).fragment(24), node(TFO_FRAGMENT));
  add("last fragment, at 48", Packet(syn).fragment(48), node(TFO_FRAGMENT));
  add("first fragment of an ACK", Packet(syn).flags(kAck).fragment(0, 32), node(TFO_OTHER));
  add("first fragment of a SYN-ACK", Packet(syn).flags(kAck | kSyn).fragment(0, 32),
      node(TFO_SYN_ACK));
  add("first fragment to no VIP", Packet(syn).ports(1, 99).fragment(0, 32), node(TFO_NOT_VIP));
  add("later fragment of UDP", Packet(syn).ip_protocol(17).fragment(24), node(TFO_NOT_TCP));
  add("first fragment of UDP", Packet(syn).ip_protocol(17).fragment(0, 32), node(TFO_NOT_TCP));
  add("later fragment, frame short", Packet(syn).fragment(24).cut_frame(1), node(TFO_NOT_TCP));
  add("plain first fragment", web_syn(side).data(20).fragment(0, 24),
      vip(TFO_DATA_NO_OPTION, {}, true));
}

}  // namespace

Cases ipv4_cases() {
  Cases cases;
  add_ipv4_lies(cases);
  add_ipv4_options(cases);
  add_fragments(cases, kV4);
  for (uint16_t flags : {0x4000, 0x8000, 0xc000}) {  // DF and the reserved bit say nothing
    Packet packet = cookie_syn(kV4);
    packet.ip.flags = flags;
    cases.push_back({fmt::format("fragment flags {:#06x}", flags), packet, kGood});
  }
  return cases;
}

namespace {

/// An extension header of `units` times 8 bytes that says nothing: PadN in options headers, no
/// segments left in routing headers.
Bytes neutral(uint8_t kind, size_t units = 1) {
  Bytes body(units * 8 - 1);
  body[0] = static_cast<uint8_t>(units - 1);
  if (kind != kRouting) body[1] = 1, body[2] = static_cast<uint8_t>(units * 8 - 4);
  return body;
}

Packet& add_header(Packet& packet, uint8_t kind, size_t units = 1) {
  return kind == kFragmentHeader ? packet.fragment(0)
                                 : packet.extension(kind, neutral(kind, units));
}

void add_single_headers(Cases& cases) {
  for (uint8_t kind : {kHopByHop, kRouting, kDestinationOptions}) {
    for (size_t units : {1, 2, 31, 32, 90}) {
      Packet packet = cookie_syn(kV6, 20);
      cases.push_back({fmt::format("extension header {} of {} bytes", kind, units * 8),
                       add_header(packet, kind, units), kGoodData});
    }
  }
  for (uint8_t kind : {1, 4, 17, 41, 50, 51, 58, 59, 135, 139, 140, 253, 255}) {
    Packet packet = cookie_syn(kV6);
    cases.push_back({fmt::format("next header {}", kind),
                     packet.extension(kind, neutral(kDestinationOptions)), node(TFO_NOT_TCP)});
    cases.push_back({fmt::format("next header {} after destination options", kind),
                     cookie_syn(kV6)
                         .extension(kDestinationOptions, neutral(kDestinationOptions))
                         .ip_protocol(kind),
                     node(TFO_NOT_TCP)});
  }
}

void add_chains(Cases& cases) {
  const auto add = [&](std::initializer_list<uint8_t> kinds, const Verdict& want) {
    Packet packet = cookie_syn(kV6, 20);
    std::string name = "chain";
    for (uint8_t kind : kinds) {
      add_header(packet, kind);
      name += fmt::format(" {}", kind);
    }
    cases.push_back({name, packet, want});
  };
  constexpr uint8_t kH = kHopByHop, kR = kRouting, kF = kFragmentHeader, kD = kDestinationOptions;
  add({kH, kD, kR, kF, kD}, kGoodData);  // all that RFC 8200 section 4.1 has before TCP
  add({kH, kD, kR, kD}, kGoodData);
  add({kD, kD, kD}, kGoodData);
  add({kF, kD}, kGoodData);
  add({kF, kF}, node(TFO_NOT_TCP));
  add({kF, kD, kF}, node(TFO_NOT_TCP));
  add({kR, kR}, kGoodData);
  add({kD, kH}, node(TFO_NOT_TCP));
  add({kH, kH}, node(TFO_NOT_TCP));
  add({kF, kH}, node(TFO_NOT_TCP));
  add({kD, kD, kD, kD, kD, kD, kD}, kGoodData);
  add({kH, kD, kD, kD, kD, kD, kD, kD}, kGoodData);
  add({kH, kD, kD, kD, kD, kD, kD, kD, kD}, kGoodData);
  add({kD, kD, kD, kD, kD, kD, kD, kF, kD}, kGoodData);
  add({kD, kD, kD, kD, kD, kD, kD, kF, kD, kF}, node(TFO_NOT_TCP));
  add({kD, kD, kD, kD, kD, kD, kD, kD, kF, kF}, node(TFO_NOT_TCP));
  add({kD, kD, kD, kD, kD, kD, kD, kD, kH}, node(TFO_NOT_TCP));
  for (const size_t headers : {20, 100, 184, 185}) {
    Packet packet = cookie_syn(kV6, 20);
    for (size_t i = 0; i < headers; i++) add_header(packet, kD);
    cases.push_back({fmt::format("chain of {}", headers), packet,
                     headers > 184 ? node(TFO_NOT_TCP) : kGoodData});
  }
}

void add_ipv6_lies(Cases& cases) {
  const auto add = [&](const std::string& name, const Packet& packet, const Verdict& want) {
    cases.push_back({name, packet, want});
  };
  const Packet syn = cookie_syn(kV6, 20);  // payload length 52
  add("payload length 0", Packet(syn).ip_length(0), node(TFO_NOT_TCP));
  add("payload length 13", Packet(syn).ip_length(13), node(TFO_NOT_TCP));
  add("payload length 14", Packet(syn).ip_length(14), node(TFO_TRUNCATED));
  add("payload length 31", Packet(syn).ip_length(31), node(TFO_TRUNCATED));
  add("payload length 32", Packet(syn).ip_length(32), kGood);
  add("payload length 33", Packet(syn).ip_length(33), kGoodData);
  add("payload length 53", Packet(syn).ip_length(53), node(TFO_NOT_TCP));
  add("payload length 65535", Packet(syn).ip_length(65535), node(TFO_NOT_TCP));
  for (uint8_t left = 0; left < 3; left++) {
    add(fmt::format("routing header, {} segments left", left),
        Packet(syn).extension(kRouting, Bytes{0, 2, left, 0, 0, 0, 0}),
        left == 0 ? kGoodData : node(TFO_NOT_TCP));
  }
  for (uint8_t kind : {kHopByHop, kRouting, kDestinationOptions}) {
    const auto sized = [&](uint8_t units) { return Bytes{units, 0, 0, 0, 0, 0, 0}; };
    add(fmt::format("header {} swallows the SYN", kind), Packet(syn).extension(kind, sized(6)),
        node(TFO_NOT_TCP));
    add(fmt::format("header {} ends with the packet", kind),
        cookie_syn(kV6).extension(kind, sized(4)), node(TFO_NOT_TCP));
    add(fmt::format("header {} runs past the end", kind), Packet(syn).extension(kind, sized(7)),
        node(TFO_NOT_TCP));
    add(fmt::format("header {} runs past the end by 2 kB", kind),
        Packet(syn).extension(kind, sized(255)), node(TFO_NOT_TCP));
    add(fmt::format("header {} runs into the padding", kind),
        Packet(syn).extension(kind, sized(7)).trailer(Bytes(100, 1)), node(TFO_NOT_TCP));
    add(fmt::format("header {} of 7 bytes", kind),
        web_syn(kV6).extension(kind, Bytes(7, 0)).ip_length(7), node(TFO_NOT_TCP));
  }
  add("hop-by-hop announced, nothing there", web_syn(kV6).cut_tcp(4).ip_protocol(kHopByHop),
      node(TFO_NOT_TCP));
}

void add_later_fragments(Cases& cases) {
  const Packet syn = cookie_syn(kV6, 20);
  for (int next = 0; next < 256; next++) {
    const bool leads_on = next == 6 || next == kRouting || next == kDestinationOptions;
    cases.push_back({fmt::format("later fragment, next header {}", next),
                     Packet(syn).ip_protocol(static_cast<uint8_t>(next)).fragment(16),
                     node(leads_on ? TFO_FRAGMENT : TFO_NOT_TCP)});
  }
  cases.push_back({"later fragment after destination options",
                   Packet(syn).extension(kDestinationOptions).fragment(16), node(TFO_FRAGMENT)});
  cases.push_back({"later fragment, cut inside its destination options",
                   Packet(syn).fragment(8).extension(kDestinationOptions), node(TFO_FRAGMENT)});
  cases.push_back({"first fragment with destination options inside",
                   Packet(syn).fragment(0, 40).extension(kDestinationOptions), kGoodData});
  cases.push_back({"first fragment ends in its destination options",
                   Packet(syn).fragment(0, 8).extension(kDestinationOptions, neutral(60, 2)),
                   node(TFO_NOT_TCP)});
  cases.push_back({"first fragment ends with its destination options",
                   Packet(syn).fragment(0, 8).extension(kDestinationOptions), node(TFO_NOT_TCP)});
}

}  // namespace

Cases ipv6_cases() {
  Cases cases;
  add_single_headers(cases);
  add_chains(cases);
  add_ipv6_lies(cases);
  add_fragments(cases, kV6);
  add_later_fragments(cases);
  return cases;
}

}  // namespace tfo::test
