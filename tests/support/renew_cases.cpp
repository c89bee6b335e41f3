// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/renew_cases.h"

#include <fmt/format.h>

#include <utility>

namespace tfo::test {
namespace {

constexpr uint64_t kRenewNow = 1'000'000'000'000;
/// Places in the ring that most VIPs have: current, previous, staged, retired, retired, revoked.
/// The revoked one's bit is set, which the program must not heed.
constexpr uint16_t kAllButPrevious = 0b111101;

/// Ports of the VIPs. Those of the policy: one for each mode, and ten on with renewal asked for.
constexpr uint16_t kPolicyPort = 1000, kWithRenew = 10, kRenewWebPort = 443;

/// A ring of its own, or none of the first pool's keys would be tried.
struct RingKind {
  const char* name;
  uint16_t port;
  WorldRenewal renewal;
  bool renews;
  uint64_t target_not_after = UINT64_MAX;
  tfo_place target_place = TFO_PLACE_PREVIOUS;
};

const std::vector<RingKind> kRings = {
    {"until the last tick", 2001, {kAllButPrevious, 1, kRenewNow}, true},
    {"past its time", 2002, {kAllButPrevious, 1, kRenewNow - 1}, false},
    {"the target lives to the last tick", 2003, {kAllButPrevious, 1, UINT64_MAX}, true, kRenewNow},
    {"the target has expired", 2004, {kAllButPrevious, 1, UINT64_MAX}, false, kRenewNow - 1},
    {"the target lies behind the ring", 2005, {kAllButPrevious, 6, UINT64_MAX, 1}, false},
    {"the target lies behind all rings", 2006, {kAllButPrevious, 17, UINT64_MAX}, false},
    {"the target is revoked",
     2007,
     {kAllButPrevious, 1, UINT64_MAX},
     false,
     UINT64_MAX,
     TFO_PLACE_REVOKED},
    {"nothing is renewed", 2008, {0, 1, UINT64_MAX}, false},
    {"only another generation is", 2009, {0b10101, 1, UINT64_MAX}, false},
    {"only this generation is", 2010, {0b1000, 1, UINT64_MAX}, true},
};

std::vector<WorldKey> ring_with(uint64_t target_not_after, tfo_place target_place) {
  return {
      {kCurrentKey, TFO_PLACE_CURRENT, UINT64_MAX}, {kPreviousKey, target_place, target_not_after},
      {kStagedKey, TFO_PLACE_STAGED, UINT64_MAX},   {kRetiredKey, TFO_PLACE_RETIRED, UINT64_MAX},
      {kOlderKey, TFO_PLACE_RETIRED, UINT64_MAX},   {kRevokedKey, TFO_PLACE_REVOKED, UINT64_MAX}};
}

WorldVip vip_of(const Side& side, uint16_t port, uint16_t pool, tfo_vip_mode mode, bool renew) {
  return {.address = Address::of(side.web),
          .port = port,
          .slot = static_cast<uint16_t>(port % 31 + 1),
          .pool = pool,
          .mode = mode,
          .renew = renew};
}

Packet syn_with(const Side& side, const char* key, uint16_t port, bool experimental = false) {
  Packet packet = web_syn(side);
  packet.ports(40000, port);
  const Bytes cookie = cookie_of(key, packet);
  return packet.option(experimental ? fast_open_experimental(cookie) : fast_open(cookie)).data(11);
}

/// The same packet without a cookie, whosever it was.
Packet demoted_syn(const Side& side, uint16_t port) {
  Packet packet = web_syn(side);
  packet.ports(40000, port);
  return packet.option(fast_open()).option(Bytes(8, 1)).data(11);
}

/// The same packet with the previous key's cookie: what it is renewed to.
RenewCase case_of(std::string name, tfo_reason reason, bool renews, const Packet& packet,
                  const Packet& renewed) {
  const tfo_action action = renews ? TFO_RENEW : TFO_PASS;
  return {std::move(name), packet, reason, action, action, renews ? renewed : packet};
}

struct NamedKey {
  const char* key;
  tfo_reason reason;
  bool renews;
};
constexpr NamedKey kKeys[] = {
    {kCurrentKey, TFO_COOKIE_CURRENT, true},   {kPreviousKey, TFO_COOKIE_PREVIOUS, false},
    {kStagedKey, TFO_COOKIE_STAGED, true},     {kRetiredKey, TFO_COOKIE_RETIRED, true},
    {kOlderKey, TFO_COOKIE_RETIRED, true},     {kRevokedKey, TFO_COOKIE_REVOKED, false},
    {kStrangerKey, TFO_COOKIE_INVALID, false},
};

/// SYNs that hold no cookie of 8 bytes.
std::vector<std::pair<tfo_reason, Packet>> cookieless(const Side& side, uint16_t port) {
  Packet bare = web_syn(side);
  bare.ports(40000, port);
  return {{TFO_PLAIN, bare},
          {TFO_DATA_NO_OPTION, Packet(bare).data(3)},
          {TFO_REQUEST, Packet(bare).option(fast_open())},
          {TFO_COOKIE_LENGTH, Packet(bare).option(fast_open(pattern(16)))},
          {TFO_OPTION_IGNORED, Packet(bare).option(fast_open(pattern(7)))}};
}

void add_policy(RenewCases& cases, const Side& side, tfo_vip_mode mode, bool asked) {
  const auto port = static_cast<uint16_t>(kPolicyPort + mode + (asked ? kWithRenew : 0));
  const std::string head =
      fmt::format("{} mode {} renew {}: ", side.name, static_cast<int>(mode), asked);
  for (const NamedKey& key : kKeys) {
    RenewCase c = case_of(head + key.key, key.reason, key.renews && asked,
                          syn_with(side, key.key, port), syn_with(side, kPreviousKey, port));
    if (key.reason == TFO_COOKIE_REVOKED) {
      c.would = c.verdict = TFO_DEMOTE;
      c.left = demoted_syn(side, port);
    }
    if (mode != TFO_ENFORCE) {
      c.verdict = TFO_PASS;
      c.left = c.packet;
    }
    cases.push_back(c);
  }
  for (const auto& [reason, packet] : cookieless(side, port)) {
    cases.push_back(case_of(head + "no cookie", reason, false, packet, packet));
  }
}

}  // namespace

World renew_world() {
  World world;
  world.now_ns = kRenewNow;
  world.pools[0] = ring_with(UINT64_MAX, TFO_PLACE_PREVIOUS);
  world.renewals[0] = {kAllButPrevious, 1, UINT64_MAX};
  for (const Side& side : kSides) {
    world.vips.push_back(vip_of(side, kRenewWebPort, 0, TFO_ENFORCE, true));
    for (const tfo_vip_mode mode : {TFO_OBSERVE, TFO_CANARY, TFO_ENFORCE}) {
      const auto port = static_cast<uint16_t>(kPolicyPort + mode);
      world.vips.push_back(vip_of(side, port, 0, mode, false));
      world.vips.push_back(vip_of(side, static_cast<uint16_t>(port + kWithRenew), 0, mode, true));
    }
    for (size_t i = 0; i < kRings.size(); i++) {
      const auto pool = static_cast<uint16_t>(i + 1);
      world.vips.push_back(vip_of(side, kRings[i].port, pool, TFO_ENFORCE, true));
      world.pools[pool] = ring_with(kRings[i].target_not_after, kRings[i].target_place);
      world.renewals[pool] = kRings[i].renewal;
      if (kRings[i].renewal.behind != 0) world.pools[pool].push_back({kStrangerKey});
    }
  }
  return world;
}

RenewCases policy_cases() {
  RenewCases cases;
  for (const Side& side : kSides) {
    for (const tfo_vip_mode mode : {TFO_OBSERVE, TFO_CANARY, TFO_ENFORCE}) {
      for (const bool asked : {false, true}) add_policy(cases, side, mode, asked);
    }
  }
  return cases;
}

RenewCases ring_cases() {
  RenewCases cases;
  for (const Side& side : kSides) {
    for (const RingKind& ring : kRings) {
      cases.push_back(case_of(fmt::format("{} {}", side.name, ring.name), TFO_COOKIE_RETIRED,
                              ring.renews, syn_with(side, kRetiredKey, ring.port),
                              syn_with(side, kPreviousKey, ring.port)));
    }
  }
  return cases;
}

const std::vector<RenewTable> kRenewTables = {
    {"policy", policy_cases},       {"ring", ring_cases},         {"packet", packet_cases},
    {"signature", signature_cases}, {"checksum", checksum_cases},
};

void PrintTo(const RenewTable& table, std::ostream* out) { *out << table.name; }

std::string renew_text(tfo_reason reason, uint32_t would, uint32_t verdict) {
  constexpr const char* kActions[] = {"pass", "renew", "demote", "drop"};
  return fmt::format("{} would={} verdict={}", to_string(Verdict{reason}), kActions[would & 3],
                     kActions[verdict & 3]);
}

std::string case_text(const RenewCase& c) {
  return c.name + ": " + c.packet.text() + "\n" + hex_dump(c.packet.frame());
}

}  // namespace tfo::test
