// SPDX-License-Identifier: BSD-2-Clause
#include "tools/replay_alerts.h"

#include <fmt/format.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tools/text_table.h"

namespace tfo {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

ordered_json alert_json_of(const ReplayedAlert& one) {
  ordered_json object = alert::alert_json(one.alert);
  object["severities"] = ordered_json::array();
  for (const ReplayedSeverity& step : one.severities) {
    object["severities"].push_back({{"at", step.at}, {"severity", to_string(step.severity)}});
  }
  object["cleared"] = nullptr;
  if (one.cleared_at != 0) object["cleared"] = {{"at", one.cleared_at}, {"why", one.why}};
  return object;
}

/// "60.0.0.0/24 7 %, 60.0.1.0/24 6 %": the first few rows of a table of the evidence.
std::string heaviest(const json& evidence, const char* table, const char* field) {
  constexpr size_t kShown = 5;
  std::vector<std::string> parts;
  const json top = evidence.is_object() ? evidence.value("top", json::object()) : json::object();
  for (const json& row : top.value(table, json::array())) {
    if (parts.size() == kShown) break;
    const json& name = row.at(field);
    parts.push_back(fmt::format("{} {:.0f} %",
                                name.is_string() ? name.get<std::string>() : name.dump(),
                                100 * row.value("share", 0.0)));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

void print_alert(std::ostream& out, const ReplayedAlert& one) {
  TextTable table({"", "<"});
  for (const ReplayedSeverity& step : one.severities) {
    const bool first = &step == one.severities.data();
    table.add({first ? "raised" : "is",
               time_words(step.at) + ", " + std::string(to_string(step.severity))});
  }
  table.add({"cleared", one.cleared_at == 0 ? "not before the capture's end"
                                            : time_words(one.cleared_at) + ", " + one.why});
  table.add({"began", time_words(one.alert.first_seen)});
  if (one.alert.measured) {
    table.add({"packets",
               fmt::format("{}, {} bytes, at most {:.0f} a second", one.alert.measured->packets,
                           one.alert.measured->bytes, one.alert.measured->peak_rate)});
  }
  const json& evidence = one.alert.evidence;
  for (const auto& [title, name, field] : {std::tuple{"reflectors", "reflectors", "network"},
                                           {"from ports", "source_ports", "port"},
                                           {"victims", "victims", "address"}}) {
    if (std::string text = heaviest(evidence, name, field); !text.empty()) {
      table.add({title, std::move(text)});
    }
  }
  if (evidence.is_object() && evidence.contains("filter")) {
    table.add({"filter", evidence["filter"].get<std::string>()});
  }
  out << '\n' << printable(alert::alert_line(one.alert)) << '\n';
  table.print(out);
}

}  // namespace

void add_replayed_alerts(ordered_json& document, const ReplayAlarms* alarms) {
  ordered_json alerts = ordered_json::array(), waiting = ordered_json::array();
  if (alarms == nullptr) {
    document["monitor"] = {{"on", false}};
    document["alerts"] = std::move(alerts);
    return;
  }
  for (const ReplayedAlert& one : alarms->alerts()) alerts.push_back(alert_json_of(one));
  for (const alert::Waiting& one : alarms->engine().waiting()) {
    waiting.push_back({{"rule", one.rule},
                       {"subject", one.subject},
                       {"readiness", to_string(one.readiness)},
                       {"why", one.why}});
  }
  document["monitor"] = {{"on", true},
                         {"outgoing", alarms->left()},
                         {"alerts_not_kept", alarms->alerts_not_kept()},
                         {"waiting", std::move(waiting)},
                         {"waiting_total", alarms->engine().waiting_total()}};
  document["alerts"] = std::move(alerts);
}

void print_replayed_alerts(std::ostream& out, const ReplayAlarms& alarms) {
  out << (alarms.alerts().empty() ? "\nNo SYN-ACKs that nobody asked for are worth an alert.\n"
                                  : "\nSYN-ACKs that nobody asked for:\n");
  for (const ReplayedAlert& one : alarms.alerts()) print_alert(out, one);
  if (alarms.alerts_not_kept() > 0) {
    out << fmt::format("and {} alerts more\n", alarms.alerts_not_kept());
  }
  TextTable table({"not judged at the end", "<rule", "<why"});
  for (const alert::Waiting& one : alarms.engine().waiting()) {
    table.add({one.subject, one.rule, one.why});
  }
  if (table.empty()) return;
  out << '\n';
  table.print(out);
  const size_t shown = alarms.engine().waiting().size();
  if (alarms.engine().waiting_total() > shown) {
    out << fmt::format("and {} more\n", alarms.engine().waiting_total() - shown);
  }
}

}  // namespace tfo
