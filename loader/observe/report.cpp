// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/report.h"

#include <algorithm>

#include "loader/guard/report.h"
#include "loader/observe/reason_table.h"
#include "loader/observe/report_monitor.h"

namespace tfo {
namespace {

using nlohmann::json;

json reasons_json(const Counters& counters, bool of_vip) {
  json out = json::object();
  for (const Cell& cell : of_vip ? vip_cells() : node_cells()) {
    out[std::string(reason_label(cell.reason))] = reason_total(counters, cell.reason);
  }
  // Reasons that do not belong here show up all the same once they were counted.
  for (unsigned reason = 0; reason < TFO_REASON_COUNT; ++reason) {
    const uint64_t total = reason_total(counters, reason);
    if (total != 0) out[std::string(reason_label(reason))] = total;
  }
  return out;
}

json cells_json(const Counters& counters) {
  json out = json::array();
  for (unsigned reason = 0; reason < TFO_REASON_COUNT; ++reason) {
    for (unsigned option = 0; option < TFO_OPTION_KINDS; ++option) {
      for (unsigned data = 0; data < 2; ++data) {
        const uint64_t count = counters.cell[reason][option][data];
        if (count == 0) continue;
        out.push_back({{"reason", reason_label(reason)},
                       {"option", option_label(option)},
                       {"data", data},
                       {"count", count}});
      }
    }
  }
  return out;
}

json actions_json(const __u64 (&counts)[TFO_ACTION_COUNT]) {
  json out = json::object();
  for (unsigned action = 0; action < TFO_ACTION_COUNT; ++action) {
    out[std::string(action_label(action))] = static_cast<uint64_t>(counts[action]);
  }
  return out;
}

json key_json(const KeyView& key) {
  return {{"id", key.id},
          {"fingerprint", key.fingerprint},
          {"place", key.place},
          {"created_at", key.created_at},
          {"not_after", key.not_after}};
}

json repairs_json(const PoolView& pool) {
  json out = json::object();
  for (const auto& [sink, count] : pool.repairs) out[sink] = count;
  return out;
}

json namespace_json(const NamespaceView& ns) {
  json out = listeners_json(ns.listeners);
  out["netns"] = ns.name;
  out["pool"] = ns.pool;
  out["server_bit"] = ns.server_bit;
  out["server_bit_repairs"] = ns.server_bit_repairs;
  return out;
}

json pool_json(const PoolView& pool) {
  json keys = json::array();
  for (const KeyView& key : pool.keys) keys.push_back(key_json(key));
  return {{"name", pool.name},
          {"store", pool.store},
          {"state", pool.state},
          {"next_rotation", pool.next_rotation ? json(*pool.next_rotation) : json(nullptr)},
          {"missing", pool.missing},
          {"repairs", repairs_json(pool)},
          {"farm_reports", pool.farm_reports},
          {"ring", keys}};
}

json condition_json(const Condition& condition) {
  return {{"id", condition.id},
          {"subject", condition.subject},
          {"since", condition.since},
          {"evidence", condition.evidence},
          {"severity", to_string(condition.severity)}};
}

}  // namespace

namespace {

/// SYNs that the VIP's guard refused and its policy let through.
uint64_t spared_of(const Snapshot& counters, const std::string& vip) {
  const auto found = std::ranges::find(counters.vips, vip, &VipCounters::name);
  return found == counters.vips.end() ? 0 : found->guard.spared;
}

}  // namespace

json status_json(const View& view) {
  json out = {{"version", view.version},
              {"instance", view.instance},
              {"pid", view.pid},
              {"uptime_s", view.uptime_s},
              {"http", view.http.empty() ? json(nullptr) : json(view.http)},
              {"adopted", view.adopted},
              {"interfaces", json::array()},
              {"pools", json::array()},
              {"namespaces", json::array()},
              {"guard", json::array()},
              {"monitor", monitor_json(view.monitor)},
              {"conditions", json::array()}};
  for (const InterfaceView& interface : view.interfaces) {
    out["interfaces"].push_back({{"name", interface.name},
                                 {"ifindex", interface.ifindex},
                                 {"mode", interface.mode},
                                 {"detail", interface.detail},
                                 {"egress", interface.egress},
                                 {"tracks", interface.tracks}});
  }
  for (const PoolView& pool : view.pools) out["pools"].push_back(pool_json(pool));
  for (const NamespaceView& ns : view.namespaces) out["namespaces"].push_back(namespace_json(ns));
  for (const GuardVipView& vip : view.guard) {
    json one = guard_vip_json(vip);
    one["spared"] = spared_of(view.counters, vip.vip);
    out["guard"].push_back(std::move(one));
  }
  for (const Condition& condition : view.conditions) {
    out["conditions"].push_back(condition_json(condition));
  }
  return out;
}

json stats_json(const Snapshot& snapshot) {
  json vips = json::array();
  for (const VipCounters& vip : snapshot.vips) {
    vips.push_back({{"name", vip.name},
                    {"reasons", reasons_json(vip.counters, true)},
                    {"cells", cells_json(vip.counters)},
                    {"actions", actions_json(vip.counters.action)},
                    {"would", actions_json(vip.counters.would)},
                    {"handshakes", outcomes_json(vip.guard)},
                    {"syn_to_ack", syn_to_ack_json(vip.guard)},
                    {"guard", guard_counts_json(vip.guard)}});
  }
  return {{"node", reasons_json(snapshot.node, false)}, {"vips", vips}};
}

json keys_json(const View& view) {
  json pools = json::array();
  for (const PoolView& pool : view.pools) {
    json keys = json::array();
    for (const KeyView& key : pool.keys) keys.push_back(key_json(key));
    pools.push_back(
        {{"name", pool.name},
         {"store", pool.store},
         {"state", pool.state},
         {"next_rotation", pool.next_rotation ? json(*pool.next_rotation) : json(nullptr)},
         {"generations", keys}});
  }
  return {{"pools", pools}};
}

}  // namespace tfo
