// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/policy_cases.h"

#include <fmt/format.h>

#include <utility>

namespace tfo::test {
namespace {

constexpr uint64_t kNow = 1'000'000'000'000;

/// Ports of the VIPs; web_syn()'s is the one that enforces and demotes.
constexpr uint16_t kWebPort = 443, kReasonPort = 1000, kSignedPort = 1100, kTruncatedPort = 1200,
                   kFencedPort = 1300, kFreshPort = 1301, kCanaryPort = 1400;
/// Pools: the web ring, and the same that may have missed a change, or has not yet.
constexpr uint16_t kWebPool = 0, kFencedPool = 1, kFreshPool = 2;

constexpr tfo_vip_mode kModes[] = {TFO_OBSERVE, TFO_CANARY, TFO_ENFORCE};
constexpr tfo_action kActions[] = {TFO_PASS, TFO_DEMOTE, TFO_DROP};

tfo_policy policy_of(tfo_action on_invalid) {
  tfo_policy policy{};
  policy.on_invalid = static_cast<__u8>(on_invalid);
  policy.on_data = on_invalid == TFO_PASS ? TFO_PASS : TFO_DROP;
  policy.on_truncated = policy.on_data;
  policy.drop_above = 1'000'000;
  policy.unproven_rate = 1'000'000;
  policy.unproven_ns = 1000;
  return policy;
}

uint16_t reason_port(tfo_action on_invalid, tfo_vip_mode mode) {
  return static_cast<uint16_t>(kReasonPort + 10 * on_invalid + mode);
}

/// Slots hold policies, so that VIPs of one slot have the same one.
class Vips {
 public:
  Vips(World& world, const Side& side) : world_(world), side_(side) {}

  WorldVip& add(uint16_t port, tfo_vip_mode mode, const tfo_policy& policy) {
    const uint8_t flags = policy.on_invalid == TFO_PASS ? 0 : TFO_VIP_POLICY;
    world_.vips.push_back({.address = Address::of(side_.web),
                           .port = port,
                           .slot = next_++,
                           .mode = mode,
                           .flags = flags,
                           .policy = policy});
    return world_.vips.back();
  }

 private:
  World& world_;
  const Side& side_;
  uint16_t next_ = 1;
};

void add_vips(World& world, const Side& side) {
  Vips vips(world, side);
  vips.add(kWebPort, TFO_ENFORCE, policy_of(TFO_DEMOTE));
  for (const tfo_action on_invalid : kActions) {
    for (const tfo_vip_mode mode : kModes) {
      vips.add(reason_port(on_invalid, mode), mode, policy_of(on_invalid));
    }
  }
  tfo_policy passes = policy_of(TFO_DEMOTE);
  passes.flags = TFO_POLICY_SIGNED;
  vips.add(kSignedPort, TFO_ENFORCE, passes);
  for (const tfo_vip_mode mode : {TFO_OBSERVE, TFO_ENFORCE}) {
    vips.add(static_cast<uint16_t>(kTruncatedPort + mode), mode, policy_of(TFO_DEMOTE));
  }
  vips.add(kTruncatedPort + 10, TFO_ENFORCE, policy_of(TFO_PASS));
  vips.add(kFencedPort, TFO_ENFORCE, policy_of(TFO_DEMOTE)).pool = kFencedPool;
  vips.add(kFreshPort, TFO_ENFORCE, policy_of(TFO_DEMOTE)).pool = kFreshPool;
  vips.add(kCanaryPort, TFO_CANARY, policy_of(TFO_DEMOTE)).canary = 0;
  vips.add(kCanaryPort + 1, TFO_CANARY, policy_of(TFO_DEMOTE)).canary = 10'000;
  tfo_policy helpless = policy_of(TFO_DEMOTE);
  helpless.flags = TFO_POLICY_NO_DEMOTE;
  vips.add(kCanaryPort + 2, TFO_ENFORCE, helpless);
}

Packet bare(const Side& side, uint16_t port) { return web_syn(side).ports(40000, port); }

/// The SYN with this cookie, and with a request and NOPs in its place.
RenewCase case_of(std::string name, tfo_reason reason, tfo_action would, const Packet& base,
                  const Bytes& cookie) {
  RenewCase c;
  c.name = std::move(name);
  c.reason = reason;
  c.would = c.verdict = would;
  c.packet = Packet(base).option(fast_open(cookie)).data(11);
  c.left = would == TFO_DEMOTE
               ? Packet(base).option(fast_open()).option(Bytes(cookie.size(), 1)).data(11)
               : c.packet;
  return c;
}

RenewCase& only_counted(RenewCase& c) {
  c.verdict = TFO_PASS;
  c.left = c.packet;
  return c;
}

struct Given {
  tfo_reason reason;
  Bytes cookie;
  tfo_action would;
};

/// Cookies of every kind, and what becomes of them.
std::vector<Given> cookies(const Side& side, tfo_action on_invalid) {
  const Packet syn = web_syn(side);
  // One invalid cookie is not too many: drop demotes it.
  const tfo_action refused = on_invalid == TFO_PASS ? TFO_PASS : TFO_DEMOTE;
  return {{TFO_COOKIE_CURRENT, cookie_of(kCurrentKey, syn), TFO_PASS},
          {TFO_COOKIE_RETIRED, cookie_of(kRetiredKey, syn), TFO_PASS},
          {TFO_COOKIE_REVOKED, cookie_of(kRevokedKey, syn), TFO_DEMOTE},
          {TFO_COOKIE_INVALID, cookie_of(kStrangerKey, syn), refused},
          {TFO_COOKIE_LENGTH, pattern(16), refused},
          {TFO_REQUEST, {}, TFO_PASS},
          {TFO_OPTION_IGNORED, pattern(7), TFO_PASS}};
}

void add_reasons(RenewCases& cases, const Side& side, tfo_action on_invalid, tfo_vip_mode mode) {
  const uint16_t port = reason_port(on_invalid, mode);
  const std::string head = fmt::format("{} on_invalid {} mode {}", side.name,
                                       static_cast<int>(on_invalid), static_cast<int>(mode));
  const Packet base = bare(side, port);
  const auto add = [&](RenewCase c) {
    if (mode != TFO_ENFORCE) only_counted(c);
    cases.push_back(std::move(c));
  };
  for (const Given& given : cookies(side, on_invalid)) {
    add(case_of(head, given.reason, given.would, base, given.cookie));
  }
  const tfo_action data = on_invalid == TFO_PASS ? TFO_PASS : TFO_DROP;
  const Packet with_data = Packet(base).data(3);
  add({head + " data", with_data, TFO_DATA_NO_OPTION, data, data, with_data});
  add({head + " plain", base, TFO_PLAIN, TFO_PASS, TFO_PASS, base});
}

RenewCase refused(const std::string& name, const Side& side, uint16_t port, tfo_action would) {
  return case_of(fmt::format("{} {}", side.name, name), TFO_COOKIE_INVALID, would, bare(side, port),
                 cookie_of(kStrangerKey, web_syn(side)));
}

}  // namespace

World policy_world() {
  World world;
  world.now_ns = kNow;
  for (const uint16_t pool : {kWebPool, kFencedPool, kFreshPool}) {
    world.pools[pool] = {{kCurrentKey, TFO_PLACE_CURRENT},
                         {kPreviousKey, TFO_PLACE_PREVIOUS},
                         {kRetiredKey, TFO_PLACE_RETIRED},
                         {kRevokedKey, TFO_PLACE_REVOKED}};
  }
  world.fresh_until_ns[kFencedPool] = kNow - 1;
  world.fresh_until_ns[kFreshPool] = kNow;
  for (const Side& side : kSides) add_vips(world, side);
  return world;
}

RenewCases reason_cases() {
  RenewCases cases;
  for (const Side& side : kSides) {
    for (const tfo_action on_invalid : kActions) {
      for (const tfo_vip_mode mode : kModes) add_reasons(cases, side, on_invalid, mode);
    }
  }
  return cases;
}

RenewCases truncated_cases() {
  RenewCases cases;
  const auto add = [&](const char* name, const Packet& packet, tfo_reason reason, tfo_action would,
                       tfo_action verdict) {
    cases.push_back({name, packet, reason, would, verdict, packet});
  };
  for (const Side& side : kSides) {
    for (const size_t bytes : {14U, 19U, 20U, 24U}) {
      const auto cut = [&](uint16_t port) {
        return bare(side, port).option(fast_open(pattern(8))).cut_tcp(bytes);
      };
      add("enforced", cut(kTruncatedPort + TFO_ENFORCE), TFO_TRUNCATED, TFO_DROP, TFO_DROP);
      add("observed", cut(kTruncatedPort + TFO_OBSERVE), TFO_TRUNCATED, TFO_DROP, TFO_PASS);
      add("passes", cut(kTruncatedPort + 10), TFO_TRUNCATED, TFO_PASS, TFO_PASS);
      add("no VIP", cut(9), TFO_TRUNCATED, TFO_PASS, TFO_PASS);
      add("no SYN", cut(kTruncatedPort + TFO_ENFORCE).flags(kAck), TFO_TRUNCATED, TFO_PASS,
          TFO_PASS);
    }
    for (const size_t bytes : {8U, 16U}) {
      const auto first = [&](uint16_t port) {
        return bare(side, port).option(fast_open(pattern(8))).fragment(0, bytes);
      };
      add("a fragment, enforced", first(kTruncatedPort + TFO_ENFORCE), TFO_TRUNCATED, TFO_DROP,
          TFO_DROP);
      add("a fragment, observed", first(kTruncatedPort + TFO_OBSERVE), TFO_TRUNCATED, TFO_DROP,
          TFO_PASS);
      add("a fragment, no VIP", first(9), TFO_TRUNCATED, TFO_PASS, TFO_PASS);
    }
    add("too short to say what it is",
        bare(side, kTruncatedPort + TFO_ENFORCE).option(fast_open(pattern(8))).cut_tcp(13),
        TFO_NOT_TCP, TFO_PASS, TFO_PASS);
  }
  return cases;
}

RenewCases fence_cases() {
  RenewCases cases;
  for (const Side& side : kSides) {
    cases.push_back(refused("to the last tick", side, kFreshPort, TFO_DEMOTE));
    cases.push_back(refused("past it", side, kFencedPort, TFO_PASS));
    const Bytes revoked = cookie_of(kRevokedKey, web_syn(side));
    cases.push_back(case_of("revoked, past it", TFO_COOKIE_REVOKED, TFO_PASS,
                            bare(side, kFencedPort), revoked));
    // What no key has to do with is not fenced.
    const Packet data = bare(side, kFencedPort).data(3);
    cases.push_back({"data, past it", data, TFO_DATA_NO_OPTION, TFO_DROP, TFO_DROP, data});
  }
  return cases;
}

RenewCases canary_cases() {
  RenewCases cases;
  for (const Side& side : kSides) {
    RenewCase nobody = refused("nobody's share", side, kCanaryPort, TFO_DEMOTE);
    cases.push_back(only_counted(nobody));
    cases.push_back(refused("everybody's share", side, kCanaryPort + 1, TFO_DEMOTE));
    cases.push_back(refused("servers that take data anyway", side, kCanaryPort + 2, TFO_PASS));
  }
  return cases;
}

const std::vector<RenewTable> kPolicyTables = {
    {"reasons", reason_cases},   {"demoted", demoted_cases}, {"several", several_cases},
    {"sums", demoted_sum_cases}, {"signed", signed_cases},   {"truncated", truncated_cases},
    {"fence", fence_cases},      {"canary", canary_cases},
};

}  // namespace tfo::test
