// SPDX-License-Identifier: BSD-2-Clause
// Where the cookie stands, and what surrounds it.
#include <fmt/format.h>

#include <functional>
#include <utility>

#include "tests/support/renew_cases.h"

namespace tfo::test {
namespace {

constexpr uint16_t kRenewPort = 443;

/// A retired key's SYN, and the previous key's, both made by `build` from their cookies.
RenewCase renewed_case(std::string name, const std::function<Packet(const Bytes&)>& build,
                       const Side& side) {
  const Packet plain = web_syn(side);
  RenewCase c;
  c.name = fmt::format("{} {}", side.name, name);
  c.packet = build(cookie_of(kRetiredKey, plain));
  c.left = build(cookie_of(kPreviousKey, plain));
  c.reason = TFO_COOKIE_RETIRED;
  c.would = c.verdict = TFO_RENEW;
  return c;
}

RenewCase untouched(RenewCase c) {
  c.would = c.verdict = TFO_PASS;
  c.left = c.packet;
  return c;
}

Packet start_syn(const Side& side) { return web_syn(side).ports(40000, kRenewPort); }

/// NOPs before the cookie: it begins at even and odd offsets.
void add_offsets(RenewCases& cases, const Side& side) {
  for (size_t nops = 0; nops < 4; nops++) {
    for (const size_t data : {0U, 1U, 2U, 255U}) {
      for (const bool experimental : {false, true}) {
        const auto build = [&](const Bytes& cookie) {
          return start_syn(side)
              .option(Bytes(nops, 1))
              .option(experimental ? fast_open_experimental(cookie) : fast_open(cookie))
              .data(data);
        };
        cases.push_back(renewed_case(
            fmt::format("{} NOPs, {} data, kind {}", nops, data, experimental ? 254 : 34), build,
            side));
      }
    }
  }
}

void add_options(RenewCases& cases, const Side& side) {
  const Bytes linux_syn = from_hex("020405b40402080a00000001000000000103030a");
  cases.push_back(renewed_case(
      "as Linux writes its options",
      [&](const Bytes& cookie) {
        return start_syn(side)
            .option(linux_syn)
            .option(fast_open(cookie))
            .option(Bytes{1, 1})
            .data(9);
      },
      side));
  cases.push_back(renewed_case(
      "after a request and another cookie",
      [&](const Bytes& cookie) {
        return start_syn(side)
            .option(fast_open())
            .option(fast_open_experimental(Bytes(8, 0x77)))
            .option(fast_open(cookie));
      },
      side));
  cases.push_back(renewed_case(
      "before an option of odd length, which is none",
      [&](const Bytes& cookie) {
        return start_syn(side).option(fast_open(cookie)).option(fast_open(Bytes(5, 3)));
      },
      side));
  cases.push_back(renewed_case(
      "the last bytes of the header",
      [&](const Bytes& cookie) {
        return start_syn(side).option(Bytes(30, 1)).option(fast_open(cookie));
      },
      side));
}

void add_links(RenewCases& cases, const Side& side) {
  using Change = std::function<void(Packet&)>;
  const std::vector<std::pair<const char*, Change>> changes = {
      {"802.1Q", [](Packet& p) { p.tag(); }},
      {"QinQ", [](Packet& p) { p.tag(kQinQ).tag(); }},
      {"no Ethernet", [](Packet& p) { p.l3(); }},
      {"padding behind it", [](Packet& p) { p.trailer(Bytes(17, 0xab)); }},
      {"first fragment", [](Packet& p) { p.fragment(0, 64); }},
  };
  for (const auto& [name, change] : changes) {
    const auto build = [&, &apply = change](const Bytes& cookie) {
      Packet packet = start_syn(side).option(fast_open(cookie)).data(200);
      apply(packet);
      return packet;
    };
    cases.push_back(renewed_case(name, build, side));
  }
  const auto long_headers = [&](const Bytes& cookie) {
    Packet packet = start_syn(side).option(fast_open(cookie)).data(5);
    return packet.ip.destination.v6 ? packet.extension(kDestinationOptions)
                                    : packet.ip_options(Bytes(8, 1));
  };
  cases.push_back(renewed_case("options in the IP header", long_headers, side));
}

/// The checksum of the UDP header around a GUE packet must be right afterwards too: the packet that
/// is expected has it computed anew.
void add_tunnels(RenewCases& cases, const Side& side) {
  const char* from = side.name[1] == '4' ? "198.18.0.1" : "2001:db8:1::1";
  const char* to = side.name[1] == '4' ? "198.18.0.2" : "2001:db8:1::2";
  struct Tunnel {
    const char* name;
    uint8_t decap;
    std::function<Packet&(Packet&)> wrap;
  };
  const std::vector<Tunnel> tunnels = {
      {"IP in IP", TFO_DECAP_IPIP, [&](Packet& p) -> Packet& { return p.in_ip(from, to); }},
      {"GUE 0", TFO_DECAP_GUE, [&](Packet& p) -> Packet& { return p.in_gue(from, to, 0, 2); }},
      {"GUE 1", TFO_DECAP_GUE, [&](Packet& p) -> Packet& { return p.in_gue(from, to, 1); }},
  };
  for (const Tunnel& tunnel : tunnels) {
    for (const size_t nops : {0U, 1U}) {
      const auto build = [&](const Bytes& cookie) {
        Packet packet =
            start_syn(side).option(Bytes(nops, 1)).option(fast_open(cookie)).data(6 + nops);
        return tunnel.wrap(packet);
      };
      cases.push_back(renewed_case(fmt::format("{}, {} NOPs", tunnel.name, nops), build, side));
      cases.back().decap = tunnel.decap;
    }
  }
}

}  // namespace

RenewCases packet_cases() {
  RenewCases cases;
  for (const Side& side : kSides) {
    add_offsets(cases, side);
    add_options(cases, side);
    add_links(cases, side);
    add_tunnels(cases, side);
  }
  return cases;
}

RenewCases signature_cases() {
  constexpr uint8_t kMd5 = 19, kAuthentication = 29, kUnknown = 200;
  RenewCases cases;
  for (const Side& side : kSides) {
    const auto with = [&](const Bytes& before, const Bytes& after) {
      return [&side, before, after](const Bytes& cookie) {
        return start_syn(side).option(before).option(fast_open(cookie)).option(after).data(4);
      };
    };
    const Bytes md5 = tcp_option(kMd5, Bytes(16, 7)),
                ao = tcp_option(kAuthentication, Bytes(14, 7));
    cases.push_back(untouched(renewed_case("MD5 before", with(md5, {}), side)));
    cases.push_back(untouched(renewed_case("MD5 after", with({}, md5), side)));
    cases.push_back(untouched(renewed_case("MD5 after NOPs", with(Bytes(3, 1), md5), side)));
    cases.push_back(untouched(renewed_case("AO before", with(ao, {}), side)));
    cases.push_back(untouched(renewed_case("AO after", with({}, ao), side)));
    cases.push_back(untouched(renewed_case("MD5 cut short", with({}, tcp_option(kMd5, {})), side)));
    cases.push_back(
        renewed_case("its kind in another option's body",
                     with(tcp_option(kUnknown, Bytes{kMd5, 18, kAuthentication, 4}), {}), side));
    cases.push_back(renewed_case("its kind behind the end of the options",
                                 with({}, join({Bytes{0}, tcp_option(kMd5, Bytes(5, 7))})), side));
  }
  return cases;
}

namespace {

size_t renewed_segment_size(const Packet& packet) {
  return 20 + (packet.tcp.options.size() + 3) / 4 * 4 + packet.payload.size();
}

/// As a sender's stack leaves it to the device.
Packet unfinished(Packet packet) {
  packet.tcp.checksum = pseudo_header_sum(packet.ip, renewed_segment_size(packet));
  return packet;
}

void add_checksums(RenewCases& cases, const Side& side, size_t nops) {
  const auto build = [&](const Bytes& cookie) {
    return start_syn(side).option(Bytes(nops, 1)).option(fast_open(cookie)).data(21);
  };
  const auto build_unfinished = [&](const Bytes& cookie) { return unfinished(build(cookie)); };
  const auto add = [&](const char* name, const std::function<Packet(const Bytes&)>& make) {
    cases.push_back(renewed_case(fmt::format("{}, {} NOPs", name, nops), make, side));
    cases.back().partial = true;
  };
  add("unfinished", build_unfinished);
  add("finished, where it may be unfinished", build);
}

/// One's complement: what `c.packet` says, with the difference that the two sound packets have.
uint16_t moved_along(uint16_t wrong, uint16_t sound_before, uint16_t sound_after) {
  uint32_t sum = uint32_t{wrong} + static_cast<uint16_t>(~sound_before) + sound_after;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

uint16_t checksum_in(const Packet& packet) {
  const Bytes frame = packet.frame();
  const size_t at = (packet.ip.destination.v6 ? 14 + 40 : 14 + 20) + 16;
  return static_cast<uint16_t>(frame.at(at) << 8 | frame.at(at + 1));
}

/// A checksum that is the sum of a pseudo-header without being unfinished. It is fixed like any
/// other: what comes out is exactly as wrong as what went in.
RenewCase wrong(const char* name, const std::function<Packet(const Bytes&)>& build,
                const Side& side, size_t pseudo_length) {
  RenewCase c = renewed_case(name, build, side);
  const uint16_t before = checksum_in(c.packet), after = checksum_in(c.left);
  const uint16_t sum = pseudo_header_sum(c.packet.ip, pseudo_length);
  c.packet.tcp.checksum = sum;
  c.left.tcp.checksum = moved_along(sum, before, after);
  return c;
}

}  // namespace

RenewCases checksum_cases() {
  constexpr size_t kData = 200, kFragment = 64;
  RenewCases cases;
  for (const Side& side : kSides) {
    add_checksums(cases, side, 0);
    add_checksums(cases, side, 1);
    const auto whole = [&](const Bytes& cookie) {
      return start_syn(side).option(fast_open(cookie)).data(kData);
    };
    const size_t length = renewed_segment_size(whole(Bytes(8)));
    cases.push_back(wrong("a pseudo-header's sum, where it means nothing", whole, side, length));
    cases.push_back(wrong("the sum of another length", whole, side, length + 2));
    cases.back().partial = true;
    // Fragments: their sender has finished the checksum of the whole.
    const auto first = [&](const Bytes& cookie) { return whole(cookie).fragment(0, kFragment); };
    if (!Address::of(side.web).v6) {
      cases.push_back(wrong("a fragment's pseudo-header", first, side, kFragment));
      cases.back().partial = true;
    }
  }
  return cases;
}

}  // namespace tfo::test
