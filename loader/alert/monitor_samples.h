// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "loader/alert/engine.h"
#include "loader/config.h"
#include "loader/monitor/monitor.h"

namespace tfo::alert {

/// What the SYN-ACK monitor counted, for the engine: with the pool of each VIP, whether it may
/// raise an alert, and its evidence. `readings` must be there as long as evidence may be asked for,
/// and the monitor must not have been read again.
std::vector<Sample> monitor_samples(const std::vector<MonitorReading>& readings,
                                    const tfo::Config& config);

/// Whom the alerts of the monitor among these are about.
std::set<std::string, std::less<>> attacked(const std::vector<Alert>& alerts);

}  // namespace tfo::alert
