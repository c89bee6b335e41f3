// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "loader/config.h"
#include "loader/observe/view.h"

namespace tfo {

/// The results of the control commands, as `tfoctl -j` prints them. No secrets. Times are unix
/// seconds, counts are packets.

/// {version, instance, pid, uptime_s, http, adopted, interfaces: [{name, ifindex, mode, detail}],
///  pools: [{name, store, state, next_rotation, missing, repairs: {SINK: count}, farm_reports (as
///  to_json(FarmReports), null but on a validator of a pool shared through etcd), ring: [...]}],
///  namespaces: [{netns, pool, server_bit, server_bit_repairs, ... as listeners_json()}],
///  conditions: [{id, subject, since, evidence, severity}]}
nlohmann::json status_json(const View& view);

/// {node: {REASON: count}, vips: [{name, reasons: {REASON: count},
///  cells: [{reason, option, data, count}] (those that are not zero), actions: {pass, renew,
///  demote, drop}, would: {...}}]}
nlohmann::json stats_json(const Snapshot& snapshot);

/// {pools: [{name, generations: [{id, fingerprint, place, created_at, not_after}]}]}
nlohmann::json keys_json(const View& view);

/// {vips: [{name, addresses, ports, pool, mode}]}
nlohmann::json vips_json(const std::vector<VipConfig>& vips);

}  // namespace tfo
