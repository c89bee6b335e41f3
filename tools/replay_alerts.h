// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <ostream>

#include "loader/replay/alarms.h"

namespace tfo {

/// For `replay -j`, of a node's monitor; nullptr: it has none. "alerts", in the order in which they
/// were raised: those of alert_json(), each with "severities": [{at, severity}] and "cleared":
/// {at, why}, null if it was raised still when the capture ended. "monitor": {on, outgoing (frames
/// that left), alerts_not_kept, waiting: [{rule, subject, readiness, why}], waiting_total}.
void add_replayed_alerts(nlohmann::ordered_json& document, const ReplayAlarms* alarms);

/// The same for people.
void print_replayed_alerts(std::ostream& out, const ReplayAlarms& alarms);

}  // namespace tfo
