// SPDX-License-Identifier: BSD-2-Clause
// Where a cookie to demote stands, and what surrounds it.
#include <fmt/format.h>

#include <functional>

#include "tests/support/policy_cases.h"

namespace tfo::test {
namespace {

constexpr uint16_t kPort = 443, kSignedTestPort = 1100;  // as in policy_cases.cpp
constexpr uint8_t kMd5 = 19, kAuthentication = 29;

/// Builds a packet around one Fast Open option.
using Build = std::function<Packet(const Bytes& option)>;

Bytes option_of(const Bytes& cookie, bool experimental) {
  return experimental ? fast_open_experimental(cookie) : fast_open(cookie);
}

/// A request as long as the option that it was made of.
Bytes demoted_option(size_t cookie, bool experimental) {
  return join({option_of({}, experimental), Bytes(cookie, 1)});
}

RenewCase demoted(const Side& side, const std::string& name, const Build& build,
                  const Bytes& cookie, bool experimental = false) {
  RenewCase c;
  c.name = fmt::format("{} {}", side.name, name);
  c.packet = build(option_of(cookie, experimental));
  c.left = build(demoted_option(cookie.size(), experimental));
  c.reason = cookie.size() == 8 ? TFO_COOKIE_INVALID : TFO_COOKIE_LENGTH;
  c.would = c.verdict = TFO_DEMOTE;
  return c;
}

Packet start(const Side& side, uint16_t port = kPort) { return web_syn(side).ports(40000, port); }

void add_places(RenewCases& cases, const Side& side) {
  for (const size_t nops : {0U, 1U, 2U, 3U}) {
    for (const size_t length : {4U, 6U, 8U, 10U, 12U, 14U, 16U}) {
      for (const bool experimental : {false, true}) {
        const auto build = [&](const Bytes& option) {
          return start(side).option(Bytes(nops, 1)).option(option).data(length + nops);
        };
        cases.push_back(demoted(side, fmt::format("{} NOPs, {} bytes", nops, length), build,
                                pattern(length), experimental));
      }
    }
  }
  const auto last = [&](const Bytes& option) {
    return start(side).option(Bytes(30, 1)).option(option);
  };
  cases.push_back(demoted(side, "the last bytes of the frame", last, pattern(8)));
  const auto linux_syn = [&](const Bytes& option) {
    return start(side)
        .option(from_hex("020405b40402080a00000001000000000103030a"))
        .option(option)
        .option(Bytes{1, 1})
        .data(700);
  };
  cases.push_back(demoted(side, "as Linux writes it", linux_syn, pattern(8)));
}

void add_around(RenewCases& cases, const Side& side) {
  const bool v6 = std::string_view(side.name) == "v6";
  const char* from = v6 ? "2001:db8:1::1" : "198.18.0.1";
  const char* to = v6 ? "2001:db8:1::2" : "198.18.0.2";
  struct Around {
    const char* name;
    uint8_t decap;
    std::function<void(Packet&)> change;
  };
  const std::vector<Around> all = {
      {"802.1Q", 0, [](Packet& p) { p.tag(); }},
      {"QinQ", 0, [](Packet& p) { p.tag(kQinQ).tag(); }},
      {"no Ethernet", 0, [](Packet& p) { p.l3(); }},
      {"padding", 0, [](Packet& p) { p.trailer(Bytes(17, 0xab)); }},
      {"first fragment", 0, [](Packet& p) { p.fragment(0, 64); }},
      {"longer IP header", 0,
       [&](Packet& p) { v6 ? p.extension(kDestinationOptions) : p.ip_options(Bytes(8, 1)); }},
      {"IP in IP", TFO_DECAP_IPIP, [&](Packet& p) { p.in_ip(from, to); }},
      {"GUE 0", TFO_DECAP_GUE, [&](Packet& p) { p.in_gue(from, to, 0, 2); }},
      {"GUE 1", TFO_DECAP_GUE, [&](Packet& p) { p.in_gue(from, to, 1); }},
  };
  for (const Around& around : all) {
    for (const size_t nops : {0U, 1U}) {
      const auto build = [&](const Bytes& option) {
        Packet packet = start(side).option(Bytes(nops, 1)).option(option).data(200 + nops);
        around.change(packet);
        return packet;
      };
      cases.push_back(demoted(side, around.name, build, pattern(8)));
      cases.back().decap = around.decap;
    }
  }
}

}  // namespace

RenewCases demoted_cases() {
  RenewCases cases;
  for (const Side& side : kSides) {
    add_places(cases, side);
    add_around(cases, side);
  }
  return cases;
}

/// The last option of an even length is the one that the kernel goes by, and the one to rewrite.
RenewCases several_cases() {
  RenewCases cases;
  const Bytes wrong = pattern(8);
  for (const Side& side : kSides) {
    const auto between = [&](const Bytes& before, const Bytes& after) -> Build {
      return [&side, before, after](const Bytes& option) {
        return start(side).option(before).option(option).option(after).data(9);
      };
    };
    const Bytes good = cookie_of(kCurrentKey, web_syn(side));
    cases.push_back(demoted(side, "request before", between(fast_open(), {}), wrong));
    cases.push_back(demoted(side, "good cookie before", between(fast_open(good), {}), wrong));
    cases.push_back(
        demoted(side, "254 before 34", between(fast_open_experimental(good), {}), wrong));
    cases.push_back(demoted(side, "34 before 254", between(fast_open(good), {}), wrong, true));
    cases.push_back(
        demoted(side, "an illegal length before", between(fast_open(Bytes(2, 5)), {}), wrong));
    cases.push_back(
        demoted(side, "an odd length behind", between({}, fast_open(Bytes(5, 3))), wrong));
    cases.push_back(demoted(side, "another magic behind",
                            between({}, tcp_option(254, Bytes{1, 2, 3, 4})), wrong));
    cases.push_back(demoted(side, "broken options behind",
                            between({}, tcp_option_lie(34, 60, Bytes(8, 7))), wrong));
    cases.push_back(demoted(side, "a cookie behind the end of the options",
                            between({}, join({Bytes{0}, fast_open(good)})), wrong));
  }
  return cases;
}

RenewCases signed_cases() {
  RenewCases cases;
  for (const Side& side : kSides) {
    for (const auto& [port, action] :
         {std::pair{kPort, TFO_DROP}, std::pair{kSignedTestPort, TFO_PASS}}) {
      for (const Bytes& signature :
           {tcp_option(kMd5, Bytes(16, 9)), tcp_option(kAuthentication, Bytes(14, 9))}) {
        for (const bool before : {false, true}) {
          RenewCase c = demoted(
              side, fmt::format("signed, port {}", port),
              [&, &at = port, &sign = signature](const Bytes& option) {
                Packet packet = start(side, at);
                before ? packet.option(sign).option(option) : packet.option(option).option(sign);
                return packet.data(5);
              },
              pattern(8));
          c.would = c.verdict = action;
          c.left = c.packet;
          cases.push_back(c);
        }
      }
    }
  }
  return cases;
}

namespace {

size_t segment_size(const Packet& packet) {
  return 20 + (packet.tcp.options.size() + 3) / 4 * 4 + packet.payload.size();
}

}  // namespace

RenewCases demoted_sum_cases() {
  RenewCases cases;
  for (const Side& side : kSides) {
    for (const size_t nops : {0U, 1U}) {
      const auto build = [&](const Bytes& option) {
        return start(side).option(Bytes(nops, 1)).option(option).data(21);
      };
      const auto unfinished = [&](const Bytes& option) {
        Packet packet = build(option);
        packet.tcp.checksum = pseudo_header_sum(packet.ip, segment_size(packet));
        return packet;
      };
      for (const size_t length : {8U, 6U}) {
        cases.push_back(demoted(side, "unfinished", unfinished, pattern(length)));
        cases.back().partial = true;
        cases.push_back(demoted(side, "finished, where it may not be", build, pattern(length)));
        cases.back().partial = true;
      }
    }
  }
  return cases;
}

}  // namespace tfo::test
