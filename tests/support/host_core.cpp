// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/host_core.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "bpf/canary.h"
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
  ring.fresh_until_ns = UINT64_MAX;
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
  tfo_ring ring = ring_of(world.pools.at(pool),
                          renewal == world.renewals.end() ? WorldRenewal{} : renewal->second);
  const auto fresh = world.fresh_until_ns.find(pool);
  if (fresh != world.fresh_until_ns.end()) ring.fresh_until_ns = fresh->second;
  return ring;
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

const WorldVip* HostCore::find(const tfo_flow& flow, uint16_t port) const {
  tfo_vip_key key{};
  tfo_vip_key_of(&key, &flow, port);
  for (const uint16_t wanted : {port, uint16_t{0}}) {
    const auto it = std::ranges::find_if(world_.vips, [&](const WorldVip& vip) {
      const auto bytes = mapped(vip.address);
      return load64(bytes.data()) == key.high && load64(bytes.data() + 8) == key.low &&
             htons(vip.port) == wanted;
    });
    if (it != world_.vips.end()) return &*it;
  }
  return nullptr;
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
                            const tfo_ring& ring, const WorldVip& vip) {
  const int reason = treatment.verdict.reason;
  const bool renews = tfo_may_renew(&packet, reason, &ring) != 0;
  tfo_trigger& trigger = triggers_[vip.slot];
  if ((packet.flags & TFO_VIP_PROVE) != 0 && tfo_is_accepted(reason) != 0) {
    tfo_prove(&trigger, world_.now_ns);
  }
  if (!renews && tfo_concerns_policy(packet.flags, reason) == 0) return;
  const tfo_frame left{treatment.left.data(), treatment.left.data() + treatment.left.size(),
                       nullptr};
  tfo_vip row{};
  row.mode = static_cast<__u8>(vip.mode);
  row.canary = vip.canary;
  packet.would = renews ? TFO_RENEW : TFO_PASS;
  tfo_case what{};
  tfo_case_of(&what, &packet, reason);
  tfo_facts facts{};
  tfo_facts_of(&facts, &what, &ring, world_.now_ns);
  const tfo_generation* target = renews ? tfo_renew_target(&ring, world_.now_ns) : nullptr;
  facts.renewable = target != nullptr;
  facts.is_signed = what.site.option != 0 && tfo_is_signed(left.data + what.site.tcp + TFO_TCP_LEN,
                                                           left.end, what.site.options) != 0;
  int would = tfo_decide(&vip.policy, &trigger, &facts);
  if ((would & TFO_IF_RETRIED) != 0) {
    would = tfo_decide_retried(&vip.policy, &trigger, &facts, would, 0);
  }
  const int verdict =
      tfo_verdict(tfo_client_mode(row.mode, row.canary, &flow), static_cast<__u8>(would));
  int done = 1;
  if (verdict == TFO_RENEW) {
    const uint64_t cookie = tfo_make_cookie(target->k0, target->k1, &flow);
    done = tfo_put_cookie(&left, &what.site, &flow, cookie, config_.partial);
  }
  if (verdict == TFO_DEMOTE) done = tfo_put_request(&left, &what.site, &flow, config_.partial);
  treatment.would = done != 0 ? would : TFO_PASS;
  treatment.action = done != 0 ? verdict : TFO_PASS;
}

void HostCore::apply_truncated(Treatment& treatment, const tfo_frame& frame,
                               const tfo_packet& packet) const {
  const uint8_t* tcp = tfo_at(&frame, packet.tcp, TFO_FRAGMENT_MIN);
  tfo_flow flow{};
  if (tcp == nullptr || tfo_may_be_syn(&frame, &packet) == 0 ||
      tfo_load_flow(&frame, packet.family, packet.ip, &flow) == 0) {
    return;
  }
  const WorldVip* vip = find(flow, tfo_load16(tcp + 2));
  if (vip == nullptr || vip->policy.on_truncated != TFO_DROP) return;
  treatment.would = TFO_DROP;
  treatment.action = tfo_verdict(tfo_client_mode(vip->mode, vip->canary, &flow), TFO_DROP);
}

Treatment HostCore::act(View bytes) {
  const tfo_frame frame{bytes.data(), bytes.data() + bytes.size(), nullptr};
  Treatment treatment{.verdict = {}, .left = Bytes(bytes.begin(), bytes.end())};
  tfo_packet packet{};
  const auto ends = [&treatment](int reason) {
    treatment.verdict = {static_cast<tfo_reason>(reason)};
    return treatment;
  };
  int reason = parse(frame, config_, packet);
  if (reason == TFO_TRUNCATED) apply_truncated(treatment, frame, packet);
  if (reason != TFO_GO_ON) return ends(reason);
  tfo_flow flow{};
  if (tfo_load_flow(&frame, packet.family, packet.ip, &flow) == 0) return ends(TFO_INTERNAL_ERROR);
  const WorldVip* vip = find(flow, tfo_load16(frame.data + packet.tcp + 2));
  if (vip == nullptr) return ends(TFO_NOT_VIP);
  packet.flags = static_cast<__u8>(TFO_VIP_USED | vip->flags | (vip->renew ? TFO_VIP_RENEW : 0));
  const uint32_t found = walk(frame, packet);
  tfo_note_options(&packet, found);
  reason = tfo_judge_options(&packet, found);
  const tfo_ring& ring = rings_.at(vip->pool);
  if (reason == TFO_GO_ON) reason = check_cookie(frame, packet, flow, ring);
  treatment.verdict = {static_cast<tfo_reason>(reason), packet.option_seen, packet.data != 0,
                       vip->slot};
  apply_policy(treatment, packet, flow, ring, *vip);
  return treatment;
}

}  // namespace tfo::test
