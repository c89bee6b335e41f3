// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bpf/tfo_abi.h"
#include "loader/observe/history.h"
#include "loader/observe/view.h"

namespace tfo {

/// What a VIP is configured to do, in short.
struct VipBrief {
  std::string name;
  std::string pool;
  tfo_vip_mode mode = TFO_OBSERVE;
  bool renew = false;
};

/// What the status page and `tfoctl top` show, gathered at one moment. No secrets.
struct Overview {
  View view;  // with counters
  std::string node;
  std::vector<VipBrief> vips;  // in the order of the configuration
  nlohmann::json alerts;       // as alert-list answers
  nlohmann::json guarded;      // as guard-list answers; null where there is no XDP
  HistoryPoint minute;         // the last one
  nlohmann::json farms;        // farm-status of the pools that a farm shares, by pool
  nlohmann::json recent;       // the last points of the history
};

/// Rows of a list that the page gets; the rest is counted.
inline constexpr size_t kPageRows = 64;

/// {version, instance, node, pid, now, taken_ns, started_at, uptime_s,
///  verdict: verdict_json(),
///  totals: {classes: {CLASS: count}, actions, handshakes, unsolicited}: of all VIPs since they are
///  counted,
///  minute: the same of the last `seconds`,
///  saved: {round_trips, handshake_ms (mean; null if not measured), saved_ms (likewise), measured}:
///  a handshake whose data was taken saved the time that it took,
///  vips: [{name, pool, mode, renew, classes, actions, handshakes, handshake_ms, guard: state,
///  load, limit, guarded}], those with most SYNs first, at most `most`; vips_total, interfaces,
///  pools, namespaces, conditions, monitor: as in status_json(), cut to kPageRows rows;
///  conditions_total, subjects_total, alerts: as alert-list, guarded: as guard-list, without its
///  vips, farms: {POOL: {state, leader, connected, held, members, waits_for: [NODE]}}: pools that a
///  farm shares, recent: History::json() of the last few points}
nlohmann::json overview_json(const Overview& overview, size_t most = kPageRows);

}  // namespace tfo
