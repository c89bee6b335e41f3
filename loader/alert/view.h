// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "loader/alert/rule.h"

namespace tfo::alert {

/// Alerts of one rule at one severity.
struct Count {
  std::string_view rule;
  Severity severity = Severity::kWarning;
  size_t raised = 0;
};

/// How one peer of an Alertmanager fares.
struct PeerStatus {
  std::string url;
  uint64_t posts = 0;     // that were taken
  uint64_t failures = 0;  // that were not
  std::string error;      // of the last one; empty if it was taken
  size_t resolved = 0;    // cleared alerts that it has not taken yet
  bool posting = false;   // one is under way
};

/// What metrics show of alerts.
struct Overview {
  std::vector<Count> counts = {};  // every rule and severity that can occur
  std::array<size_t, kSeverities> crowded_out{};
  std::vector<PeerStatus> peers;
  std::vector<std::string> posted = {};  // Rule::kind of what goes to them
};

}  // namespace tfo::alert
