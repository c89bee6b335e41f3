// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/report_monitor.h"

#include <utility>

namespace tfo {

using nlohmann::json;

json monitor_json(const std::optional<MonitorView>& monitor) {
  if (!monitor) return nullptr;
  json subjects = json::array();
  for (const MonitorSubjectView& one : monitor->subjects) {
    subjects.push_back({{"name", one.name},
                        {"kind", monitor_kind_label(one.kind)},
                        {"each_address", one.each_address},
                        {"readiness", one.readiness},
                        {"why", one.why},
                        {"unsolicited", one.unsolicited},
                        {"bytes", one.bytes},
                        {"resets", one.resets},
                        {"answered", one.answered},
                        {"syns_out", one.syns_out},
                        {"reflectors", one.reflectors}});
  }
  return {{"subjects", std::move(subjects)},
          {"false_match", monitor->tracks ? json(monitor->false_match) : json(nullptr)},
          {"saturated", {{"main", monitor->saturated_main}, {"heavy", monitor->saturated_heavy}}},
          {"samples", monitor->totals.samples},
          {"samples_lost", monitor->totals.samples_lost}};
}

}  // namespace tfo
