// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "loader/observe/history.h"
#include "loader/observe/view.h"

namespace tfo {

/// Does Fast Open work? kIdle: it would, and nobody comes.
enum class Health { kWorks, kIdle, kDegraded, kOff };

/// "works", "idle", "degraded", "off".
std::string_view to_string(Health health);

/// One reason why it does not, or something to know.
struct Finding {
  enum class Weight { kOff, kCritical, kWarning, kNote };
  Weight weight = Weight::kNote;
  std::string source;  // alert, condition, measured
  std::string id;      // of the alert or condition
  std::string subject = {};
  std::string text;       // a sentence without its full stop
  std::string more = {};  // what was seen
  int64_t since = 0;      // unix seconds; 0: not known
};

struct Verdict {
  Health health = Health::kIdle;
  std::string headline;           // "Fast Open works"
  std::string reason;             // a sentence: why
  std::vector<Finding> findings;  // what weighs most first; notes do not change the health
};

/// `alerts`: those that are raised, as alert_json(). `recent`: what happened lately.
Verdict judge(const View& view, const nlohmann::json& alerts, const HistoryPoint& recent);

/// {health, headline, reason, sentence (both), findings: [{weight (off, critical, warning, note),
/// source, id, subject, text,
///  more, since}]}
nlohmann::json verdict_json(const Verdict& verdict);

}  // namespace tfo
