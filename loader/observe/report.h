// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "loader/config.h"
#include "loader/dataplane/vip_policy.h"
#include "loader/observe/view.h"

namespace tfo {

/// The results of the control commands, as `tfoctl -j` prints them. No secrets. Times are unix
/// seconds, counts are packets.

/// {version, instance, pid, uptime_s, http, adopted, interfaces: [{name, ifindex, mode, detail,
///  egress, tracks}],
///  pools: [{name, store, state, next_rotation, missing, repairs: {SINK: count}, farm_reports (as
///  to_json(FarmReports), null but on a validator of a pool shared through etcd), ring: [...]}],
///  namespaces: [{netns, pool, server_bit, server_bit_repairs, ... as listeners_json()}],
///  guard: [guard_vip_json() of loader/guard/report.h], monitor: null where nothing is watched, or
///  {subjects: [{name, kind, each_address, readiness, why, unsolicited, bytes, resets, answered,
///  syns_out, reflectors}], false_match, saturated: {main, heavy}, samples, samples_lost},
///  conditions: [{id, subject, since, evidence, severity}]}
nlohmann::json status_json(const View& view);

/// {node: {REASON: count}, vips: [{name, reasons: {REASON: count},
///  cells: [{reason, option, data, count}] (those that are not zero), actions: {pass, renew,
///  demote, drop}, would: {...}, handshakes: {accepted, not_accepted, opened, reset, unreachable,
///  timeout}, syn_to_ack: {...}, guard: {...} (loader/guard/report.h)}]}
nlohmann::json stats_json(const Snapshot& snapshot);

/// {pools: [{name, generations: [{id, fingerprint, place, created_at, not_after}]}]}
nlohmann::json keys_json(const View& view);

/// The configuration's words.
std::string store_word(StoreKind store);
VipConfigView vip_words(const VipConfig& vip);

/// {vips: [{name, addresses, ports, pool, mode, canary, renew, on_invalid, on_data_without_option,
///  on_truncated, drop_above, unproven_rate, protect_syn_queue, signed, duplicate_window,
///  can_demote, guard: {address_limit, limit, site_limit, vip_limit, open_rate} or "off"}]}: what
///  is in force. canary is null in other modes, drop_above where on_invalid is not "drop";
///  can_demote is false where a server takes SYN data without a cookie.
/// `servers`: what is known of each VIP's, in their order.
nlohmann::json vips_json(const std::vector<VipConfig>& vips,
                         const std::vector<std::optional<ServerFacts>>& servers);

}  // namespace tfo
