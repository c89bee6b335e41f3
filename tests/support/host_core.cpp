// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/host_core.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "bpf/judge.h"
#include "bpf/plain.h"
#include "bpf/policy.h"
#include "bpf/rewrite.h"
#include "bpf/vip_hash.h"

namespace tfo::test {
namespace {

uint64_t load64(const uint8_t* at) {
  uint64_t value = 0;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

/// The two ways from a frame to a SYN: the few compares for common frames, then the whole parser.
int parse(const tfo_frame& frame, const tfo_load_config& config, tfo_packet& packet) {
  const int reason = tfo_parse_plain(&frame, &config, &packet);
  if (reason != TFO_NOT_PLAIN) return reason;
  packet = {};
  return tfo_parse(&frame, &config, &packet);
}

uint32_t walk(const tfo_frame& frame, const tfo_packet& packet) {
  const uint8_t* options = frame.data + packet.tcp + TFO_TCP_LEN;
  const uint32_t length = packet.header_len - TFO_TCP_LEN;
  const uint32_t found = tfo_linux_options(options, frame.end, length);
  return found == TFO_NEEDS_WALK ? tfo_walk_options(options, frame.end, length) : found;
}

}  // namespace

tfo_ring ring_of(const std::vector<WorldKey>& keys, const WorldRenewal& renewal) {
  tfo_ring ring{};
  ring.renew = renewal.renew;
  ring.target = renewal.target;
  ring.renew_until_ns = renewal.until_ns;
  for (const WorldKey& key : keys) {
    const KeyBytes bytes = key_bytes(key.text);
    ring.generation[ring.count++] = {load64(bytes.data()), load64(bytes.data() + 8),
                                     key.not_after_ns, static_cast<__u32>(key.place), 0};
  }
  ring.count -= renewal.behind;
  return ring;
}

tfo_ring ring_of(const World& world, uint16_t pool) {
  const auto renewal = world.renewals.find(pool);
  return ring_of(world.pools.at(pool),
                 renewal == world.renewals.end() ? WorldRenewal{} : renewal->second);
}

std::array<uint8_t, 16> mapped(const Address& address) {
  if (address.v6) return address.bytes;
  std::array<uint8_t, 16> bytes{};
  bytes[10] = bytes[11] = 0xff;
  std::copy_n(address.bytes.begin(), 4, bytes.begin() + 12);
  return bytes;
}

tfo_load_config load_config_of(const World& world) {
  tfo_load_config config{};
  config.l3_device = world.l3 ? 1 : 0;
  config.decap = world.decap;
  config.count_other = world.count_other ? 1 : 0;
  config.gue_port = htons(world.gue_port);
  config.partial = world.partial ? 1 : 0;
  return config;
}

HostCore::HostCore(const World& world) : world_(world), config_(load_config_of(world)) {
  for (const auto& [pool, keys] : world.pools) rings_[pool] = ring_of(world, pool);
}

const WorldVip* HostCore::find(const tfo_vip_key& key) const {
  const auto it = std::ranges::find_if(world_.vips, [&](const WorldVip& vip) {
    const auto bytes = mapped(vip.address);
    return load64(bytes.data()) == key.high && load64(bytes.data() + 8) == key.low &&
           htons(vip.port) == key.port;
  });
  return it == world_.vips.end() ? nullptr : &*it;
}

int HostCore::check_cookie(const tfo_frame& frame, tfo_packet& packet, const tfo_flow& flow,
                           const tfo_ring& ring) const {
  const uint8_t* cookie =
      tfo_at(&frame, packet.option + tfo_option_base(packet.option_kind), TFO_COOKIE_LEN);
  if (cookie == nullptr) return TFO_INTERNAL_ERROR;
  const int match =
      tfo_match_cookie(&ring, 0, TFO_NO_KEY, world_.now_ns, &flow, tfo_load64(cookie));
  packet.generation = tfo_match_generation(match);
  return tfo_match_reason(match);
}

void HostCore::apply_policy(Treatment& treatment, tfo_packet& packet, const tfo_flow& flow,
                            const tfo_ring& ring) const {
  const tfo_frame left{treatment.left.data(), treatment.left.data() + treatment.left.size(),
                       nullptr};
  const tfo_generation* target = tfo_renew_target(&ring, world_.now_ns);
  if (tfo_may_renew(&packet, treatment.verdict.reason, &ring) == 0 || target == nullptr) return;
  tfo_site site{};
  tfo_site_of(&site, &packet);
  if (tfo_is_signed(left.data + site.tcp + TFO_TCP_LEN, left.end, site.options) != 0) return;
  treatment.would = TFO_RENEW;
  treatment.action = tfo_verdict(packet.mode, TFO_RENEW);
  if (treatment.action == TFO_PASS) return;
  const uint64_t cookie = tfo_make_cookie(target->k0, target->k1, &flow);
  if (tfo_put_cookie(&left, &site, &flow, cookie, config_.partial) == 0) {
    treatment.would = treatment.action = TFO_PASS;
  }
}

Treatment HostCore::act(View bytes) const {
  const tfo_frame frame{bytes.data(), bytes.data() + bytes.size(), nullptr};
  Treatment treatment{.verdict = {}, .left = Bytes(bytes.begin(), bytes.end())};
  tfo_packet packet{};
  const auto ends = [&treatment](int reason) {
    treatment.verdict = {static_cast<tfo_reason>(reason)};
    return treatment;
  };
  int reason = parse(frame, config_, packet);
  if (reason != TFO_GO_ON) return ends(reason);
  tfo_flow flow{};
  if (tfo_load_flow(&frame, packet.family, packet.ip, &flow) == 0) return ends(TFO_INTERNAL_ERROR);
  tfo_vip_key key{};
  tfo_vip_key_of(&key, &flow, tfo_load16(frame.data + packet.tcp + 2));
  const WorldVip* vip = find(key);
  key.port = 0;
  if (vip == nullptr) vip = find(key);
  if (vip == nullptr) return ends(TFO_NOT_VIP);
  packet.mode = vip->mode;
  packet.flags = vip->renew ? TFO_VIP_USED | TFO_VIP_RENEW : TFO_VIP_USED;
  const uint32_t found = walk(frame, packet);
  tfo_note_options(&packet, found);
  reason = tfo_judge_options(&packet, found);
  const tfo_ring& ring = rings_.at(vip->pool);
  if (reason == TFO_GO_ON) reason = check_cookie(frame, packet, flow, ring);
  treatment.verdict = {static_cast<tfo_reason>(reason), packet.option_seen, packet.data != 0,
                       vip->slot};
  apply_policy(treatment, packet, flow, ring);
  return treatment;
}

}  // namespace tfo::test
