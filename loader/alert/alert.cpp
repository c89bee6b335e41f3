// SPDX-License-Identifier: BSD-2-Clause
#include "loader/alert/alert.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "loader/alert/rule.h"

namespace tfo::alert {

using nlohmann::json;

namespace {

const Rule* rule_of(std::string_view id) {
  const auto& all = default_rules();
  const auto found = std::ranges::find(all, id, &Rule::id);
  return found == all.end() ? nullptr : &*found;
}

size_t text_size(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace).size();
}

/// The list in `value`, at any depth, whose text is longest.
json* longest_list(json& value) {
  json* best = nullptr;
  size_t size = 0;
  const auto look = [&](json* list) {
    if (list == nullptr || list->empty()) return;
    if (const size_t now = text_size(*list); now > size) {
      size = now;
      best = list;
    }
  };
  for (json& member : value) {
    if (member.is_array()) look(&member);
    if (member.is_structured()) look(longest_list(member));
  }
  return best;
}

void drop_longest_member(json& object) {
  auto longest = object.end();
  size_t size = 0;
  for (auto at = object.begin(); at != object.end(); ++at) {
    const size_t now = text_size(*at);
    if (at.key() == "cut" || now <= size) continue;
    size = now;
    longest = at;
  }
  if (longest == object.end()) {
    object = json::object();
  } else {
    object.erase(longest);
  }
}

constexpr int64_t kLastTime = 253'402'300'799;  // the year 9999 ends
constexpr size_t kLongestName = 256;

bool is_right(const std::string& text) {
  return text.size() <= kLongestName &&
         std::ranges::none_of(text, [](unsigned char c) { return c < ' ' || c == 127; });
}
bool is_right(double number) { return number >= 0 && std::isfinite(number); }
bool is_right(int64_t time) { return time >= 0 && time <= kLastTime; }
bool is_right(uint64_t) { return true; }

template <class T>
bool take(const json& object, const char* name, T& out) {
  const auto field = object.find(name);
  if (field == object.end()) return false;
  bool typed = field->is_number_unsigned() ||
               (field->is_number_integer() && field->template get<int64_t>() >= 0);
  if constexpr (std::is_same_v<T, std::string>) typed = field->is_string();
  if constexpr (std::is_same_v<T, double>) typed = field->is_number();
  if (!typed) return false;
  out = field->get<T>();
  return is_right(out);
}

bool take_measured(const json& object, Measured& out) {
  return take(object, "rate", out.rate) && take(object, "peak_rate", out.peak_rate) &&
         take(object, "share", out.share) && take(object, "baseline", out.baseline) &&
         take(object, "packets", out.packets) && take(object, "bytes", out.bytes) &&
         take(object, "sources", out.sources);
}

}  // namespace

std::string Alert::id() const { return subject.empty() ? rule : rule + ":" + subject; }

std::string_view Alert::kind() const {
  const Rule* known = rule_of(rule);
  return known == nullptr ? "" : known->kind;
}

std::string_view Alert::runbook() const {
  const Rule* known = rule_of(rule);
  return known == nullptr ? "" : known->runbooks.at(static_cast<size_t>(severity));
}

std::string_view to_string(Change::What what) {
  constexpr std::string_view kWords[] = {"raised", "severity", "evidence", "cleared"};
  return kWords[static_cast<size_t>(what)];
}

json alert_json(const Alert& alert) {
  const Rule* rule = rule_of(alert.rule);
  json out = {{"id", alert.id()},
              {"rule", alert.rule},
              {"kind", alert.kind()},
              {"summary", rule == nullptr ? "" : rule->sentence},
              {"runbook", "dashboards/runbooks/" + std::string(alert.runbook())},
              {"subject", alert.subject},
              {"pool", alert.pool},
              {"severity", to_string(alert.severity)},
              {"raised_at", alert.raised_at},
              {"first_seen", alert.first_seen},
              {"last_seen", alert.last_seen},
              {"updated_at", alert.updated_at},
              {"absorbed", alert.absorbed},
              {"evidence", alert.evidence}};
  const Measured measured = alert.measured.value_or(Measured());
  const std::pair<const char*, json> numbers[] = {
      {"rate", measured.rate},         {"peak_rate", measured.peak_rate}, {"share", measured.share},
      {"baseline", measured.baseline}, {"packets", measured.packets},     {"bytes", measured.bytes},
      {"sources", measured.sources}};
  for (const auto& [name, value] : numbers) out[name] = alert.measured ? value : json(nullptr);
  return out;
}

json change_json(const Change& change) {
  json out = {
      {"what", to_string(change.what)}, {"at", change.at}, {"alert", alert_json(change.alert)}};
  if (change.what == Change::What::kSeverity) out["was"] = to_string(change.was);
  if (change.what == Change::What::kCleared) out["why"] = change.why;
  return out;
}

Result<Alert> alert_from_json(const json& object) {
  if (!object.is_object()) return fail("an alert is no object");
  Alert alert;
  std::string severity;
  const bool whole =
      take(object, "rule", alert.rule) && take(object, "subject", alert.subject) &&
      take(object, "pool", alert.pool) && take(object, "severity", severity) &&
      take(object, "raised_at", alert.raised_at) && take(object, "first_seen", alert.first_seen) &&
      take(object, "last_seen", alert.last_seen) && take(object, "updated_at", alert.updated_at) &&
      take(object, "absorbed", alert.absorbed);
  const auto known = std::ranges::find_if(kAllSeverities,
                                          [&](Severity one) { return to_string(one) == severity; });
  if (!whole || known == kAllSeverities.end())
    return fail("an alert lacks a field, or it cannot be right");
  alert.severity = *known;
  const bool counted = object.contains("rate") && !object["rate"].is_null();
  if (counted && !take_measured(object, alert.measured.emplace())) {
    return fail("an alert lacks a number, or it cannot be right");
  }
  alert.evidence = fit_evidence(object.value("evidence", json()));
  return alert;
}

json fit_evidence(json evidence) {
  if (evidence.is_null()) return evidence;
  if (!evidence.is_object()) evidence = {{"text", std::move(evidence)}};
  while (text_size(evidence) > kMaxEvidence) {
    evidence["cut"] = true;
    if (json* list = longest_list(evidence)) {
      const size_t half = list->size() / 2;
      list->erase(list->begin() + static_cast<std::ptrdiff_t>(half), list->end());
    } else {
      drop_longest_member(evidence);
    }
  }
  return evidence;
}

std::string alert_line(const Alert& alert) {
  const Rule* rule = rule_of(alert.rule);
  std::string line = fmt::format("{} {}: {}", to_string(alert.severity), alert.id(),
                                 rule == nullptr ? "" : rule->sentence);
  if (alert.measured) {
    line += fmt::format("; {:.0f}/s now, {:.0f}/s at most, {} packets", alert.measured->rate,
                        alert.measured->peak_rate, alert.measured->packets);
    if (alert.measured->sources > 0) line += fmt::format(", {} sources", alert.measured->sources);
  } else if (alert.evidence.is_object() && alert.evidence.contains("text") &&
             alert.evidence["text"].is_string()) {
    line += "; " + alert.evidence["text"].get<std::string>();
  }
  return line;
}

}  // namespace tfo::alert
