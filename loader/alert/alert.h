// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "loader/observe/conditions.h"
#include "loader/result.h"

namespace tfo::alert {

/// Bytes that the evidence of one alert may have as JSON text.
inline constexpr size_t kMaxEvidence = 4096;

/// What was counted for an alert; rates are packets a second.
struct Measured {
  double rate = 0;  // now, mean over the rule's window
  double peak_rate = 0;
  double share = 0;      // of the total, 0 to 1; 0: nothing to compare with
  double baseline = 0;   // median of 24 h
  uint64_t packets = 0;  // since first_seen
  uint64_t bytes = 0;
  uint64_t sources = 0;

  bool operator==(const Measured&) const = default;
};

/// One alert. Times are unix seconds.
struct Alert {
  std::string rule;
  std::string subject;    // the victim: a VIP, a prefix, a pool, a namespace; may be empty
  std::string pool = {};  // of keys; may be empty
  Severity severity = Severity::kWarning;
  int64_t raised_at = 0;                  // never changes while it is raised, whatever its severity
  int64_t first_seen = 0;                 // when what it tells of began
  int64_t last_seen = 0;                  // when it was last above half of the rule's demands
  int64_t updated_at = 0;                 // when the evidence was collected
  std::optional<Measured> measured = {};  // nothing for rules about a state
  size_t absorbed = 0;                    // alerts that this one makes needless
  nlohmann::json evidence = nullptr;      // at most kMaxEvidence

  /// "vip:web"; "fork" if there is no subject. The same one again after a restart.
  std::string id() const;
  /// Of its rule; empty if there is none.
  std::string_view kind() const;
  std::string_view runbook() const;
  bool operator==(const Alert&) const = default;
};

/// What happened to an alert.
struct Change {
  enum class What { kRaised, kSeverity, kEvidence, kCleared };
  What what = What::kRaised;
  Alert alert;                        // as it is now; as it last was if it was cleared
  Severity was = Severity::kWarning;  // kSeverity: before
  int64_t at = 0;                     // unix seconds
  std::string why = {};               // kCleared
};

/// "raised", "severity", "evidence", "cleared".
std::string_view to_string(Change::What what);

/// {id, rule, kind, summary, subject, pool, severity, raised_at, first_seen, last_seen, updated_at,
/// rate, peak_rate, share, baseline, packets, bytes, sources (these are null for a state),
/// absorbed, evidence}
nlohmann::json alert_json(const Alert& alert);
/// {what, at, was (severity; kSeverity only), why (kCleared only), alert: {...}}
nlohmann::json change_json(const Change& change);
/// The inverse of alert_json(); an error if anything is missing or of another type.
Result<Alert> alert_from_json(const nlohmann::json& object);

/// `evidence` cut to kMaxEvidence: its longest lists lose their ends first, then whole members go,
/// and {"cut": true} says so. What is no object becomes {"text": ...}.
nlohmann::json fit_evidence(nlohmann::json evidence);

/// One line for people: what, whom, how much.
std::string alert_line(const Alert& alert);

}  // namespace tfo::alert
