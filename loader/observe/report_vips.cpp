// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/vip_policy.h"
#include "loader/observe/reason_table.h"
#include "loader/observe/report.h"

namespace tfo {

using nlohmann::json;

namespace {

constexpr const char* kActions[] = {"pass", "renew", "demote", "drop"};
constexpr const char* kStores[] = {"file", "derived", "etcd"};

/// 0 stands for "no limit", which JSON says as null.
json limit_json(unsigned limit) { return limit == 0 ? json(nullptr) : json(limit); }

json guard_json(const GuardConfig& guard, const ServerFacts& servers) {
  if (!guard.on) return "off";
  const auto limits = guard_limits(guard, servers);
  return {{"address_limit", limit_json(limits[TFO_LEVEL_ADDRESS])},
          {"limit", limit_json(limits[TFO_LEVEL_NETWORK])},
          {"site_limit", limit_json(limits[TFO_LEVEL_SITE])},
          {"vip_limit", limit_json(limits[TFO_LEVEL_VIP])},
          {"open_rate", limit_json(guard.open_rate)}};
}

/// The policy in force: every default filled in.
json policy_json(const VipConfig& vip, const ServerFacts& servers) {
  const PolicyConfig& policy = vip.policy;
  json out = {{"on_invalid", kActions[policy.on_invalid]},
              {"on_data_without_option", kActions[policy.on_data_without_option]},
              {"on_truncated", kActions[policy.on_truncated]},
              {"drop_above", nullptr},
              {"unproven_rate", unproven_rate(policy, servers.unproven_rate)},
              {"protect_syn_queue", policy.retry ? "retry" : "off"},
              {"signed", policy.passes_signed},
              {"duplicate_window", duration_text(policy.duplicate_window)},
              {"can_demote", !servers.no_cookie}};
  out["guard"] = guard_json(vip.guard, servers);
  if (policy.on_invalid == TFO_DROP) out["drop_above"] = drop_above(policy, servers.unproven_rate);
  return out;
}

}  // namespace

std::string store_word(StoreKind store) { return kStores[static_cast<size_t>(store)]; }

VipConfigView vip_words(const VipConfig& vip) {
  return {.name = vip.name,
          .pool = vip.pool,
          .mode = mode_label(vip.mode),
          .renew = vip.renew,
          .on_invalid = kActions[vip.policy.on_invalid]};
}

json vips_json(const std::vector<VipConfig>& vips,
               const std::vector<std::optional<ServerFacts>>& servers) {
  json out = json::array();
  for (size_t i = 0; i < vips.size(); ++i) {
    const VipConfig& vip = vips[i];
    json addresses = json::array();
    for (const ConfigAddress& address : vip.addresses) addresses.push_back(address_text(address));
    json one = {{"name", vip.name},  {"addresses", addresses},       {"ports", vip.ports},
                {"pool", vip.pool},  {"mode", mode_label(vip.mode)}, {"canary", nullptr},
                {"renew", vip.renew}};
    if (vip.mode == TFO_CANARY) one["canary"] = vip.canary;
    const auto known = i < servers.size() ? servers[i] : std::nullopt;
    one.update(policy_json(vip, known.value_or(ServerFacts{})));
    out.push_back(std::move(one));
  }
  return {{"vips", out}};
}

}  // namespace tfo
