// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "tests/support/cases.h"

namespace tfo::test {
namespace {

/// What the flags alone say; FIN, SYN, RST and ACK are looked at and no other.
Verdict verdict_of_flags(int flags) {
  switch (flags & (kFin | kSyn | kRst | kAck)) {
    case kSyn:
      return vip(TFO_COOKIE_CURRENT, kSeen34, true);
    case kSyn | kAck:
      return node(TFO_SYN_ACK);
    default:
      return node(TFO_OTHER);
  }
}

void add_lengths(Cases& cases, const Side& side) {
  for (size_t length = 0; length <= 32; length++) {
    const auto add = [&](const char* name, const Packet& packet, const Verdict& whole) {
      const Verdict want = length < 14   ? node(TFO_NOT_TCP)
                           : length < 32 ? node(TFO_TRUNCATED)
                                         : whole;
      cases.push_back(
          {fmt::format("{} cut to {} bytes {}", name, length, side.name), packet, want});
    };
    if (side.web == kSides[1].web && length == 0) continue;  // payload length 0: see ipv6_cases
    Packet cut = cookie_syn(side).cut_tcp(length);
    add("SYN", cut, vip(TFO_COOKIE_CURRENT, kSeen34));
    add("SYN, the rest in the padding", Packet(cut).trailer(Bytes(32, 1)),
        vip(TFO_COOKIE_CURRENT, kSeen34));
    add("ACK", Packet(cut).flags(kAck), node(TFO_OTHER));
    add("SYN-ACK", Packet(cut).flags(kSyn | kAck), node(TFO_SYN_ACK));
  }
}

void add_offsets(Cases& cases, const Side& side) {
  for (uint8_t words = 0; words < 16; words++) {
    for (size_t data : {0, 7}) {
      const Packet packet = web_syn(side).option(Bytes(20, 1)).data(data).doff(words);
      // 40 bytes of header are there, and what follows.
      const size_t header = words * size_t{4}, there = 40 + data;
      const Verdict want = header > there   ? node(TFO_TRUNCATED)
                           : header < 20    ? node(TFO_OTHER)
                           : header < there ? vip(TFO_DATA_NO_OPTION, {}, true)
                                            : vip(TFO_PLAIN);
      cases.push_back(
          {fmt::format("data offset {} of 10, data {} {}", words, data, side.name), packet, want});
      cases.push_back({fmt::format("RST, data offset {} of 10, data {} {}", words, data, side.name),
                       Packet(packet).flags(kRst),
                       header > there ? node(TFO_TRUNCATED) : node(TFO_OTHER)});
    }
  }
}

/// The IP length is the end, whatever the frame holds behind it.
void add_padding(Cases& cases, const Side& side) {
  const auto add = [&](const char* name, const Packet& packet, const Verdict& want) {
    cases.push_back({fmt::format("{} {}", name, side.name), packet, want});
  };
  add("plain, padded", web_syn(side).trailer(Bytes(6, 0)), vip(TFO_PLAIN));
  add("plain, long trailer", web_syn(side).trailer(pattern(1000)), vip(TFO_PLAIN));
  add("request, padded", web_syn(side).option(fast_open()).trailer(pattern(8)),
      vip(TFO_REQUEST, kSeen34));
  add("cookie, padded", cookie_syn(side).trailer(pattern(8)), vip(TFO_COOKIE_CURRENT, kSeen34));
  add("cookie and data, padded", cookie_syn(side).data(1).trailer(pattern(8)),
      vip(TFO_COOKIE_CURRENT, kSeen34, true));
  add("header longer than the IP length, the cookie in the padding",
      web_syn(side).doff(8).trailer(join({Bytes{1, 1}, fast_open(Bytes(8, 0x5a))})),
      node(TFO_TRUNCATED));
  add("header one word longer than the IP length, a request in the padding",
      web_syn(side).doff(6).trailer(join({fast_open(), Bytes{1, 1}})), node(TFO_TRUNCATED));
  add("frame one byte short", cookie_syn(side).cut_frame(1), node(TFO_NOT_TCP));
  add("frame without its data", cookie_syn(side).data(20).cut_frame(20), node(TFO_NOT_TCP));
  add("frame ends in the TCP header", cookie_syn(side).cut_frame(25), node(TFO_NOT_TCP));
}

}  // namespace

Cases flag_cases() {
  Cases cases;
  for (const Side& side : kSides) {
    for (int flags = 0; flags < 256; flags++) {
      const Packet packet = cookie_syn(side).data(3).flags(static_cast<uint8_t>(flags));
      cases.push_back(
          {fmt::format("flags {:#04x} {}", flags, side.name), packet, verdict_of_flags(flags)});
    }
    for (uint8_t reserved = 1; reserved < 16; reserved++) {
      Packet packet = cookie_syn(side);
      packet.tcp.reserved = reserved;
      cases.push_back({fmt::format("reserved bits {} {}", reserved, side.name), packet,
                       vip(TFO_COOKIE_CURRENT, kSeen34)});
    }
  }
  return cases;
}

Cases segment_cases() {
  Cases cases;
  for (const Side& side : kSides) {
    add_lengths(cases, side);
    add_offsets(cases, side);
    add_padding(cases, side);
  }
  return cases;
}

namespace {

void add_tags(Cases& cases, const Side& side) {
  constexpr std::array kTags = {kVlan, kQinQ};
  const Verdict good = vip(TFO_COOKIE_CURRENT, kSeen34);
  for (uint16_t outer : kTags) {
    cases.push_back(
        {fmt::format("tag {:#06x} {}", outer, side.name), cookie_syn(side).tag(outer), good});
    for (uint16_t inner : kTags) {
      const Packet two = cookie_syn(side).tag(outer, 0xffff).tag(inner, 0);
      const std::string name = fmt::format("tags {:#06x} {:#06x} {}", outer, inner, side.name);
      cases.push_back({name, two, good});
      cases.push_back({name + ", padded", Packet(two).trailer(pattern(9)), good});
      for (uint16_t third : kTags) {
        cases.push_back({fmt::format("{} and {:#06x}", name, third), Packet(two).tag(third),
                         node(TFO_NOT_TCP)});
      }
    }
  }
  cases.push_back(
      {fmt::format("tag 0x9100 {}", side.name), cookie_syn(side).tag(0x9100), node(TFO_NOT_TCP)});
}

void add_types(Cases& cases, const Side& side) {
  const bool v6 = Address::of(side.web).v6;
  for (int type : {0x0000, 0x0036, 0x0806, 0x8847, 0x8100, 0x88a8, v6 ? 0x0800 : 0x86dd}) {
    Packet packet = cookie_syn(side);
    packet.link.ethertype = static_cast<uint16_t>(type);
    cases.push_back(
        {fmt::format("ethertype {:#06x} {}", type, side.name), packet, node(TFO_NOT_TCP)});
  }
}

}  // namespace

Cases link_cases() {
  Cases cases;
  for (const Side& side : kSides) {
    add_tags(cases, side);
    add_types(cases, side);
    const Verdict good = vip(TFO_COOKIE_CURRENT, kSeen34);
    cases.push_back({fmt::format("no Ethernet {}", side.name), cookie_syn(side).l3(), good});
    cases.push_back({fmt::format("no Ethernet, padded {}", side.name),
                     cookie_syn(side).l3().trailer(pattern(5)), good});
    for (int version = 0; version < 16; version++) {
      if (version == (Address::of(side.web).v6 ? 6 : 4)) continue;
      Packet packet = cookie_syn(side);
      packet.ip.version = static_cast<uint8_t>(version);
      const std::string name = fmt::format("IP version {} {}", version, side.name);
      cases.push_back({name, packet, node(TFO_NOT_TCP)});
      // Read as the other family's header the bytes promise more than there is.
      cases.push_back({"no Ethernet, " + name, Packet(packet).l3(), node(TFO_NOT_TCP)});
    }
    const size_t whole = cookie_syn(side).frame().size();
    for (size_t length = 14; length < whole; length++) {
      cases.push_back({fmt::format("frame of {} bytes {}", length, side.name),
                       cookie_syn(side).cut_frame(whole - length), node(TFO_NOT_TCP)});
      cases.push_back({fmt::format("tagged frame of {} bytes {}", length, side.name),
                       cookie_syn(side).tag(kQinQ).tag().cut_frame(whole + 8 - length),
                       node(TFO_NOT_TCP)});
    }
  }
  return cases;
}

}  // namespace tfo::test
