// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/vip_policy.h"

#include <algorithm>
#include <iterator>

namespace tfo {
namespace {

constexpr uint32_t kSecondNs = 1'000'000'000;
constexpr unsigned kOfTenThousand = 100;  // one percent

}  // namespace

unsigned unproven_rate(const PolicyConfig& config, std::optional<unsigned> known) {
  return std::max(1U, config.unproven_rate.value_or(known.value_or(kUnprovenRate)));
}

GuardLimits guard_limits(const GuardConfig& config, const ServerFacts& servers) {
  constexpr uint64_t kLeast = 8;
  constexpr uint64_t kNone = UINT32_MAX;
  const uint64_t queues = servers.fastopen_limit.value_or(0) / servers.balancers;
  const bool known = servers.fastopen_limit.has_value();
  const uint64_t vip = config.vip_limit.value_or(known ? std::clamp(queues / 2, 1UL, kNone) : 0);
  const uint64_t most = vip == 0 ? kNone : vip;
  const uint64_t least = servers.fastopen_least.value_or(servers.fastopen_limit.value_or(0));
  uint64_t network = known ? std::max(least / servers.balancers / 8, kLeast) : 0;
  if (known) network = std::max<uint64_t>(network, config.address_limit.value_or(0));
  network = std::min({network, most, uint64_t{config.site_limit.value_or(kNone)}});
  network = config.limit.value_or(network);
  const uint64_t site = std::max(network, std::min(2 * network, most));
  const uint64_t address = std::max(network / 4, std::min(kLeast, (network + 1) / 2));
  return {config.address_limit.value_or(address), static_cast<unsigned>(network),
          config.site_limit.value_or(site), static_cast<unsigned>(vip)};
}

unsigned drop_above(const PolicyConfig& config, std::optional<unsigned> known) {
  return std::min(config.drop_above, unproven_rate(config, known));
}

tfo_policy kernel_policy(const PolicyConfig& config, const ServerFacts& servers) {
  tfo_policy policy{};
  policy.unproven_rate = unproven_rate(config, servers.unproven_rate);
  policy.unproven_ns = kSecondNs / policy.unproven_rate;
  policy.drop_above = drop_above(config, servers.unproven_rate);
  policy.on_invalid = static_cast<__u8>(config.on_invalid);
  policy.on_data = static_cast<__u8>(config.on_data_without_option);
  policy.on_truncated = static_cast<__u8>(config.on_truncated);
  unsigned flags = 0;
  if (config.passes_signed) flags |= TFO_POLICY_SIGNED;
  if (config.retry) flags |= TFO_POLICY_RETRY;
  if (servers.no_cookie) flags |= TFO_POLICY_NO_DEMOTE;
  policy.flags = static_cast<__u8>(flags);
  return policy;
}

tfo_guard kernel_guard(const VipConfig& vip, const ServerFacts& servers) {
  tfo_guard guard{};
  if (!vip.guard.on) return guard;
  std::ranges::copy(guard_limits(vip.guard, servers), std::begin(guard.limit));
  const uint64_t opens = uint64_t{vip.guard.open_rate} * TFO_BUCKET_NS / kSecondNs;
  guard.opens = static_cast<__u32>(std::min<uint64_t>(opens, UINT32_MAX));
  const auto window = static_cast<uint64_t>(vip.policy.duplicate_window.count());
  guard.duplicate_ticks = static_cast<__u32>(window * kSecondNs >> TFO_TICK_SHIFT);
  guard.flags = TFO_GUARD_ON;
  return guard;
}

void keep_facts(const VipConfig& vip, const tfo_guard& guard_before,
                const tfo_policy& policy_before, tfo_guard& guard, tfo_policy& policy) {
  for (unsigned level = 0; level < TFO_LEVELS && vip.guard.on; ++level) {
    if (guard.limit[level] == 0) guard.limit[level] = guard_before.limit[level];
  }
  policy.flags |= policy_before.flags & TFO_POLICY_NO_DEMOTE;
  if (vip.policy.unproven_rate || policy_before.unproven_rate == 0) return;
  policy.unproven_rate = policy_before.unproven_rate;
  policy.unproven_ns = policy_before.unproven_ns;
  policy.drop_above = drop_above(vip.policy, policy_before.unproven_rate);
}

bool drop_disarmed(const tfo_trigger& trigger, uint64_t now_ns) {
  return trigger.disarmed_ns != 0 && trigger.disarmed_ns > trigger.proved_ns &&
         now_ns < trigger.disarmed_ns + 60ULL * kSecondNs;
}

uint8_t vip_flags(const VipConfig& vip) {
  const PolicyConfig& policy = vip.policy;
  unsigned flags = TFO_VIP_USED;
  if (vip.renew) flags |= TFO_VIP_RENEW;
  if (policy.on_invalid != TFO_PASS || policy.on_data_without_option != TFO_PASS) {
    flags |= TFO_VIP_POLICY;
  }
  if (policy.on_invalid == TFO_DROP) flags |= TFO_VIP_PROVE;
  if (policy.retry) flags |= TFO_VIP_RETRY;
  return static_cast<uint8_t>(flags);
}

uint16_t canary_share(const VipConfig& vip) {
  return static_cast<uint16_t>(vip.canary * kOfTenThousand);
}

}  // namespace tfo
