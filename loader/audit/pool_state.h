// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "loader/keys/derived_ring.h"
#include "loader/observe/conditions.h"

namespace tfo::audit {

/// Seconds for which servers of a derived pool may yet be changing their primary key, as their
/// clocks are wrong by up to max_skew: from policy.margin() before the edge of an interval until as
/// long after it. 0: they are not. Always 0 where the interval is so short (twice the margin) that
/// no quiet time would come. The middle of an interval changes only backups: no cookie tells.
int64_t servers_change_for(const DerivedPolicy& policy, int64_t unix_s);

/// The conditions raised for `pool` that mean that tfod's own keys may not be those of the farm:
/// [{"id": ID, "evidence": TEXT}, ...]: key_store_failed, clock_unsure, clock_suspect,
/// secret_replaced, no_key.
nlohmann::json doubts_of(const std::string& pool, const std::vector<Condition>& raised);

}  // namespace tfo::audit
