// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "tests/support/cases.h"

namespace tfo::test {
namespace {

constexpr uint64_t kNow = 1'000'000'000'000;

std::vector<WorldKey> web_ring() {
  return {
      {kCurrentKey, TFO_PLACE_CURRENT, UINT64_MAX},
      {kPreviousKey, TFO_PLACE_PREVIOUS, kNow},  // lives to the last tick
      {kStagedKey, TFO_PLACE_STAGED, kNow + 1},
      {kExpiredKey, TFO_PLACE_RETIRED, kNow - 1},
      {kRetiredKey, TFO_PLACE_RETIRED, UINT64_MAX},
      {kOlderKey, TFO_PLACE_RETIRED, UINT64_MAX},
      {kRevokedKey, TFO_PLACE_REVOKED, UINT64_MAX},
      // A key that stands twice counts in its first place.
      {kPreviousKey, TFO_PLACE_RETIRED, UINT64_MAX},
  };
}

std::vector<WorldKey> full_ring() {
  std::vector<WorldKey> ring;
  for (int i = 0; i < TFO_MAX_GENERATIONS; i++) {
    const tfo_place place = i == 0    ? TFO_PLACE_CURRENT
                            : i == 1  ? TFO_PLACE_PREVIOUS
                            : i == 2  ? TFO_PLACE_STAGED
                            : i == 15 ? TFO_PLACE_REVOKED
                                      : TFO_PLACE_RETIRED;
    ring.push_back({full_ring_key(i), place, UINT64_MAX});
  }
  return ring;
}

void add_vips(std::vector<WorldVip>& vips, const Side& side) {
  vips.push_back({Address::of(side.web), 80, 1, 0});
  vips.push_back({Address::of(side.web), 443, 1, 0});
  vips.push_back({Address::of(side.any_port), 0, 2, 1});
  vips.push_back({Address::of(side.any_port), 8443, 3, 2});
  vips.push_back({Address::of(side.no_keys), 443, 4, 3});
  vips.push_back({Address::of(side.expired), 443, 5, 4});
  vips.push_back({Address::of(side.full), 443, 6, 5});
  vips.push_back({Address::of(side.revoked), 443, 7, TFO_MAX_POOLS - 1});
}

}  // namespace

World case_world() {
  World world;
  world.now_ns = kNow;
  for (const Side& side : kSides) add_vips(world.vips, side);
  world.pools[0] = web_ring();
  world.pools[1] = {{kStagedKey, TFO_PLACE_CURRENT, UINT64_MAX}};
  world.pools[2] = {{kRetiredKey, TFO_PLACE_CURRENT, UINT64_MAX},
                    {kStagedKey, TFO_PLACE_PREVIOUS, UINT64_MAX}};
  world.pools[3] = {};
  world.pools[4] = {{kCurrentKey, TFO_PLACE_CURRENT, kNow - 1}, {kStagedKey, TFO_PLACE_STAGED, 1}};
  world.pools[5] = full_ring();
  world.pools[TFO_MAX_POOLS - 1] = {{kRevokedKey, TFO_PLACE_REVOKED, UINT64_MAX}};
  return world;
}

std::string full_ring_key(int i) {
  return fmt::format("{0:08x}-9e3779b9-7f4a7c15-{0:08x}", 0x1000001 * (i + 1));
}

Bytes cookie_of(const char* key, const Packet& packet) {
  const auto cookie = reference_cookie(key_bytes(key), packet.ip.source, packet.ip.destination);
  return Bytes(cookie.begin(), cookie.end());
}

Packet web_syn(const Side& side) { return Packet::syn(side.client, side.web); }

Packet cookie_syn(const Side& side, size_t data) {
  Packet packet = web_syn(side).data(data);
  return packet.option(Bytes{1, 1}).option(fast_open(cookie_of(kCurrentKey, packet)));
}

Verdict good_verdict(bool data) { return vip(TFO_COOKIE_CURRENT, kSeen34, data); }

Verdict node(tfo_reason reason) { return {reason, TFO_OPTION_NONE, false, TFO_NODE_SLOT}; }

Verdict vip(tfo_reason reason, tfo_option_kind option, bool data, uint16_t slot) {
  return {reason, option, data, slot};
}

const std::vector<CaseTable> kCaseTables = {
    {"lengths", length_cases},
    {"keys", key_cases},
    {"duplicates", duplicate_cases},
    {"malformed", malformed_cases},
    {"vips", vip_cases},
    {"flags", flag_cases},
    {"segments", segment_cases},
    {"link", link_cases},
    {"ipv4", ipv4_cases},
    {"ipv6", ipv6_cases},
    {"tunnels", tunnel_cases},
    {"tunnel_fragments", tunnel_fragment_cases},
};

std::string case_text(const Case& c) {
  return c.name + ": " + c.packet.text() + "\n" + hex_dump(c.packet.frame());
}

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

void PrintTo(const CaseTable& table, std::ostream* out) { *out << table.name; }

}  // namespace tfo::test
