// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "loader/observe/conditions.h"

namespace tfo::alert {

/// What must hold for an alert of one severity. Each demand that is not zero must be met, all of
/// them at once and for `hold` without a break.
struct Level {
  double rate = 0;                  // counted a second, mean over the window
  std::chrono::seconds window{10};  // a shorter past counts as if nothing had been before it
  std::chrono::seconds hold{0};     // for so long
  uint64_t volume = 0;              // counted in the window
  uint64_t sources = 0;             // distinct sources (or addresses that are hit)
  double few_rate = 0;              // from this rate on `sources` are not asked; 0: always
  double share = 0;                 // counted, as a part of the total in the window; 0 to 1
  double baseline = 0;              // times the subject's own median of 24 h: of the share where
                                    // there is one (not if the rule `learns`), else of the rate
  bool saturated = false;           // the sample says that its source is saturated

  bool operator==(const Level&) const = default;
};

/// Rule::kind of what the SYN-ACK monitor and the reflector rules tell.
inline constexpr std::string_view kReflectionKind = "reflection";

/// What feeds a rule: counters (class Sample), or something that is so or not (class State).
enum class Feed { kCounters, kState };

/// A rule as it is configured. The texts are those of default_rules(), which live as long as the
/// program.
struct Rule {
  std::string_view id;        // label of metrics and alerts: append-only
  std::string_view kind;      // reflection, guard, cookies, keys, server, dataplane
  std::string_view sentence;  // what it tells, without numbers
  std::array<std::string_view, 2> runbooks = {};  // by Severity: file and heading below
                                                  // dashboards/runbooks
  Feed feed = Feed::kCounters;
  /// By Severity; nothing: never raised at it.
  std::array<std::optional<Level>, 2> levels = {};
  std::chrono::seconds clear_after{120};  // below half of the demands for so long
  std::chrono::seconds warm_up{0};        // after a subject was first seen
  std::string_view absorbed_by = {};      // id of the rule whose alert makes this one needless
  /// What a subject's usual rate is must be known before levels with a `baseline` are met: a
  /// gateway may always have been busy, and others may always have sent the SYNs.
  bool learns = false;

  bool operator==(const Rule&) const = default;
};

/// Every rule there is with its defaults, those that absorb others before these.
const std::vector<Rule>& default_rules();

inline constexpr size_t kSeverities = 2;
inline constexpr std::array<Severity, kSeverities> kAllSeverities = {Severity::kWarning,
                                                                     Severity::kCritical};

/// Every Rule::kind, once.
std::vector<std::string_view> rule_kinds();

/// Where alerts are posted to: the v2 API of each of these.
struct AlertmanagerConfig {
  std::vector<std::string> urls;  // "http://host:9093", with a path if it lives below one; no '/'
                                  // at the end
  std::string ca_file;            // PEM; empty: the system's
  std::string cert_file;          // the client's certificate, PEM; empty: none
  std::string key_file;           // its key, PEM
  /// Rule::kind of what is posted. By default what comes with evidence that Prometheus does not
  /// have: its own rules tell of the rest, and nobody is to be paged twice for one fact.
  std::vector<std::string> kinds = {"reflection", "guard"};
  /// Where dashboards/runbooks is served, for the annotation runbook_url; no '/' at the end.
  std::string runbooks = "dashboards/runbooks";
  /// All that is raised goes again so often, and ends by itself so long after the last time: what a
  /// tfod that died had raised does not stay for ever.
  std::chrono::seconds resend{45};
  std::chrono::seconds expires{240};

  bool operator==(const AlertmanagerConfig&) const = default;
};

/// A program that is run for each alert that is raised, changes its severity or is cleared.
struct CommandConfig {
  std::string path;                    // absolute; empty: none
  std::vector<std::string> arguments;  // besides its own name
  std::chrono::seconds timeout{10};    // then it is killed

  bool operator==(const CommandConfig&) const = default;
};

/// The section "alerts". Rules that are off are not among `rules`.
struct Config {
  std::vector<Rule> rules = default_rules();
  AlertmanagerConfig alertmanager = {};
  CommandConfig command = {};

  bool operator==(const Config&) const = default;
};

}  // namespace tfo::alert
