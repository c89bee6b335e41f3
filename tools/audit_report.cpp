// SPDX-License-Identifier: BSD-2-Clause
#include "tools/audit_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "tools/text_table.h"

namespace tfo {

using audit::Answer;
using audit::KeyName;
using audit::Verdict;
using nlohmann::json;

namespace {

bool somebody_current(const AuditReport& report) { return report.in_step() > 0; }

std::string current_fingerprint(const AuditReport& report) {
  for (const KeyName& one : report.match.ring) {
    if (one.place == TFO_PLACE_CURRENT) return one.fingerprint;
  }
  return "-";
}

/// Why the verdicts may be out of date, or nothing.
std::string note_on(const AuditReport& report) {
  const std::string& phase = report.match.phase;
  if (report.ring_changed) return "the pool's keys changed while the servers were asked: ask again";
  if (report.match.store == "derived") {
    // Its ring is never steady: where the time stands between two changes says more.
    const int64_t wait = report.match.servers_change_for;
    if (wait == 0) return "";
    return fmt::format(
        "around the edge of an interval servers change their keys when their own clocks say so, "
        "within max_skew of each other: ask again in {} s",
        wait);
  }
  if (phase.empty() || phase == "steady") return "";
  return fmt::format(
      "a rotation of the pool is under way ({}): servers may change their keys any moment; ask "
      "again when `tfoctl status` says steady",
      phase);
}

/// Why the keys to which the servers were compared may be wrong themselves, or nothing.
std::string caution(const AuditReport& report) {
  if (report.match.doubts.empty()) return "";
  return fmt::format("this node's own keys may be the stale ones: {}",
                     fmt::join(report.match.doubts, "; "));
}

std::string sources(const AuditReport& report) {
  std::vector<std::string> seen;
  for (const Answer& answer : report.answers) {
    const std::string text = to_string(answer.source);
    if (answer.source.family != 0 && std::find(seen.begin(), seen.end(), text) == seen.end()) {
      seen.push_back(text);
    }
  }
  return fmt::format("{}", fmt::join(seen, ", "));
}

void print_notes(Context& context, const AuditReport& report) {
  std::set<Verdict> told;
  for (size_t i = 0; i < report.answers.size(); i++) {
    const Verdict verdict = report.verdict(i);
    const std::string meaning = long_meaning(verdict);
    if (meaning.empty() || !told.insert(verdict).second) continue;
    context.out << fmt::format("\n{}: {}.\n", to_string(verdict), meaning);
  }
  if (const std::string text = note_on(report); !text.empty()) {
    context.out << "\nNote: " << text << ".\n";
  }
  if (const std::string text = caution(report); !text.empty()) {
    context.out << "\nCaution: " << printable(text) << ".\n";
  }
}

json json_of(const AuditReport& report, size_t i) {
  const Answer& answer = report.answers[i];
  const Verdict verdict = report.verdict(i);
  const bool others = somebody_current(report);
  json row = {{"server", to_string(answer.target.server)},
              {"port", answer.target.port},
              {"via", nullptr},
              {"source", nullptr},
              {"verdict", std::string(to_string(verdict))},
              {"in_step", is_in_step(verdict)},
              {"stale", is_stale(verdict, others)},
              {"generation", nullptr},
              {"cookie", nullptr},
              {"option_kind", nullptr},
              {"meaning", short_meaning(verdict, answer, others)},
              {"explanation", long_meaning(verdict)},
              {"syns", answer.sent},
              {"round_trip_ms", nullptr}};
  if (answer.target.via) row["via"] = to_string(*answer.target.via);
  if (answer.source.family != 0) row["source"] = to_string(answer.source);
  if (!answer.cookie.empty()) row["cookie"] = cookie_text(answer.cookie);
  if (answer.option_kind != 0) row["option_kind"] = answer.option_kind;
  if (answer.milliseconds > 0) row["round_trip_ms"] = answer.milliseconds;
  if (const auto& maker = report.match.makers[i]) {
    row["generation"] = {{"id", maker->id.empty() ? json() : json(maker->id)},
                         {"fingerprint", maker->fingerprint},
                         {"place", std::string(to_string(maker->place))}};
  }
  return row;
}

}  // namespace

Verdict AuditReport::verdict(size_t i) const {
  return audit::verdict_of(answers[i], match.makers[i]);
}

size_t AuditReport::in_step() const {
  size_t count = 0;
  for (size_t i = 0; i < answers.size(); i++) count += is_in_step(verdict(i)) ? 1 : 0;
  return count;
}

void print_audit(Context& context, const AuditReport& report) {
  const std::string from = sources(report);
  if (!from.empty()) context.out << "Asked from " << from << '\n';
  TextTable table({"server", "port", "<via", "<verdict", "<key", "<id", "<meaning"});
  for (size_t i = 0; i < report.answers.size(); i++) {
    const Answer& answer = report.answers[i];
    const Verdict verdict = report.verdict(i);
    const auto& maker = report.match.makers[i];
    table.add({to_string(answer.target.server), std::to_string(answer.target.port),
               answer.target.via ? to_string(*answer.target.via) : "-",
               std::string(to_string(verdict)), maker ? maker->fingerprint : "-",
               maker && !maker->id.empty() ? maker->id : "-",
               short_meaning(verdict, answer, somebody_current(report))});
  }
  table.print(context.out);
  print_notes(context, report);
  const std::string keys =
      report.match.pool.empty() ? "the keys given" : "pool " + printable(report.match.pool);
  context.out << fmt::format("\n{} of {} in step with {} (current key {})\n", report.in_step(),
                             report.answers.size(), keys, current_fingerprint(report));
}

void print_audit_json(Context& context, const AuditReport& report) {
  const std::string note = note_on(report);
  const std::string doubt = caution(report);
  json document = {{"pool", report.match.pool.empty() ? json() : json(report.match.pool)},
                   {"phase", report.match.phase.empty() ? json() : json(report.match.phase)},
                   {"current", current_fingerprint(report)},
                   {"in_step", report.in_step() == report.answers.size()},
                   {"note", note.empty() ? json() : json(note)},
                   {"caution", doubt.empty() ? json() : json(doubt)},
                   {"servers", json::array()}};
  for (size_t i = 0; i < report.answers.size(); i++) {
    document["servers"].push_back(json_of(report, i));
  }
  print_json(context, document);
}

}  // namespace tfo
