// SPDX-License-Identifier: BSD-2-Clause
// Pools, their keys and rotations, and the VIPs that use them.
#include <algorithm>
#include <array>
#include <map>

#include "loader/observe/metric_family.h"

namespace tfo {
namespace {

using prometheus::MetricType;

void add_configured(const View& view, Families& out) {
  Family pools("tfo_pool_info", "Where the keys of a pool come from", MetricType::Gauge);
  Family vips("tfo_vip_info", "What the configuration says of a VIP", MetricType::Gauge);
  for (const PoolConfigView& pool : view.configured_pools) {
    pools.add({{"pool", pool.name}, {"source", pool.source}}, 1);
  }
  for (const VipConfigView& vip : view.configured_vips) {
    vips.add({{"vip", vip.name},
              {"pool", vip.pool},
              {"mode", vip.mode},
              {"renew", vip.renew ? "true" : "false"},
              {"on_invalid", vip.on_invalid}},
             1);
  }
  out.push_back(pools.take());
  out.push_back(vips.take());
}

/// Of pools that a farm shares through etcd.
void add_rotations(const View& view, Families& out) {
  Family ends("tfo_rotations_total", "Rotations that ended since tfod began, and how",
              MetricType::Counter);
  Family nodes("tfo_rotation_nodes",
               "Members of the farm by how they stand to the present keys, as the leader knows "
               "them; 0 on every other node, so that the sum over all nodes is the farm's",
               MetricType::Gauge);
  Family leader("tfo_rotation_leader", "1 on the node that leads the farm's rotations",
                MetricType::Gauge);
  for (const PoolView& pool : view.pools) {
    if (!pool.farm) continue;
    const rotation::RotationCounts& count = pool.farm->rotations;
    const std::pair<const char*, uint64_t> results[] = {
        {"completed", count.completed}, {"aborted", count.aborted}, {"revoked", count.revoked}};
    for (const auto& [result, number] : results) {
      ends.add({{"pool", pool.name}, {"result", result}}, static_cast<double>(number));
    }
    const rotation::NodeCounts& stand = pool.farm->nodes;
    const std::pair<const char*, uint64_t> statuses[] = {{"acknowledged", stand.acknowledged},
                                                         {"pending", stand.pending},
                                                         {"drifted", stand.drifted},
                                                         {"unreachable", stand.unreachable}};
    for (const auto& [status, number] : statuses) {
      nodes.add({{"pool", pool.name}, {"status", status}}, static_cast<double>(number));
    }
    leader.add({{"pool", pool.name}}, pool.farm->leading ? 1 : 0);
  }
  for (Family* family : {&ends, &nodes, &leader}) out.push_back(family->take());
}

}  // namespace

void add_keys(const View& view, Families& out) {
  Family generations("tfo_key_generations", "Keys of a pool by their place", MetricType::Gauge);
  Family age("tfo_key_age_seconds", "Age of the newest key at a place", MetricType::Gauge);
  Family end("tfo_key_not_after_timestamp_seconds",
             "Unix time from which the newest key at a place is accepted by nobody",
             MetricType::Gauge);
  Family state("tfo_rotation_state", "1 for the state that a pool's rotation is in",
               MetricType::Gauge);
  Family next("tfo_next_rotation_timestamp_seconds",
              "Unix time of the next rotation; absent: by command only", MetricType::Gauge);
  for (const PoolView& pool : view.pools) {
    std::map<std::string, int> count;
    std::map<std::string, const KeyView*> newest;
    for (const KeyView& key : pool.keys) {
      ++count[key.place];
      const KeyView*& best = newest[key.place];
      if (best == nullptr || key.created_at > best->created_at) best = &key;
    }
    for (const char* place : {"current", "previous", "staged", "retired", "revoked"}) {
      const MetricLabels labels = {{"pool", pool.name}, {"place", place}};
      generations.add(labels, count[place]);
      const KeyView* key = newest[place];
      if (key == nullptr) continue;
      age.add(labels, static_cast<double>(std::max<int64_t>(0, view.now - key->created_at)));
      if (key->not_after != 0) end.add(labels, static_cast<double>(key->not_after));
    }
    for (const char* name : {"steady", "prepare", "staged", "minting"}) {
      state.add({{"pool", pool.name}, {"state", name}}, pool.state == name ? 1 : 0);
    }
    if (pool.next_rotation) {
      next.add({{"pool", pool.name}}, static_cast<double>(*pool.next_rotation));
    }
  }
  for (Family* family : {&generations, &age, &end, &state, &next}) out.push_back(family->take());
  add_configured(view, out);
  add_rotations(view, out);
}

}  // namespace tfo
