// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "bpf/tfo_abi.h"
#include "loader/guard/history.h"
#include "loader/guard/view.h"

namespace tfo {

/// The guard's part of the control commands' results. Times are unix seconds. Addresses of clients
/// are shown to operators; they never become labels of metrics.

/// {vip, state, address_limit, limit, site_limit, vip_limit, load, guarded, forgotten, untracked,
/// blind, evaded, exact};
/// limits are null if not known.
nlohmann::json guard_vip_json(const GuardVipView& vip);

/// {at, event, network, vip, level, load, limit}; what the change does not tell is null.
nlohmann::json guard_change_json(const GuardChange& change);

/// {accepted, not_accepted, opened, reset, unreachable, timeout}
nlohmann::json outcomes_json(const tfo_guard_counters& counters);

/// {buckets: [{below_ms, count}], sum_ms}: not cumulative; below_ms of the last one is null.
nlohmann::json syn_to_ack_json(const tfo_guard_counters& counters);

/// {over: {address, network, site, vip}, duplicate, denied, held, spared, events_lost}
nlohmann::json guard_counts_json(const tfo_guard_counters& counters);

/// "accepted" and so on, and what it means (TFO_OUTCOMES in bpf/tfo_guard_abi.h).
std::string_view outcome_label(unsigned outcome);
std::string_view outcome_sentence(unsigned outcome);

/// End of a bucket of the histogram; the last one has none (infinity).
double rtt_bucket_seconds(unsigned bucket);
/// Of the guard's ticks.
double ticks_seconds(uint64_t ticks);

}  // namespace tfo
