// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "loader/monitor/view.h"

namespace tfo {

/// "monitor" of status_json().
nlohmann::json monitor_json(const std::optional<MonitorView>& monitor);

}  // namespace tfo
