// SPDX-License-Identifier: BSD-2-Clause
// What stands in the tables of `tfoctl top`.
#include <fmt/format.h>

#include <map>
#include <utility>

#include "tools/client.h"
#include "tools/text_table.h"
#include "tools/top_table.h"

namespace tfo {
namespace {

using nlohmann::json;

TopCell text_cell(std::string text, Mark mark = Mark::kPlain) {
  return {.text = std::move(text), .number = 0, .mark = mark};
}

TopCell count_cell(const json& object, const char* key) {
  return {.text = text_of(object, key), .number = double_of(object, key)};
}

TopCell severity_cell(const std::string& severity) {
  const bool critical = severity == "critical" || severity == "off";
  return {.text = severity,
          .number = critical                ? 2.0
                    : severity == "warning" ? 1.0
                                            : 0.0,
          .mark = critical                ? Mark::kBad
                  : severity == "warning" ? Mark::kWarn
                                          : Mark::kSoft};
}

TopCell age_cell(const json& object, const char* key, int64_t now) {
  const int64_t at = number_of(object, key);
  if (at == 0) return {.text = "-", .number = -1};
  return {.text = duration_words(now - at), .number = static_cast<double>(now - at)};
}

/// A counter's rate; less than 0: not known, as of one that begins anew.
TopCell rate_cell(const json& now, const json& before, const char* group, const char* key,
                  double seconds) {
  const double more =
      double_of(member_of(now, group), key) - double_of(member_of(before, group), key);
  const bool known = seconds > 0 && before.is_object() && more >= 0;
  const double rate = known ? more / seconds : -1;
  return {.text = rate_text(rate), .number = rate};
}

TopCell sum_cell(const std::vector<TopCell>& cells) {
  double sum = 0;
  for (const TopCell& cell : cells) {
    if (cell.number < 0) return {.text = "-", .number = -1};
    sum += cell.number;
  }
  return {.text = rate_text(sum), .number = sum, .mark = Mark::kBold};
}

std::vector<TopCell> vip_row(const json& vip, const json& before, double seconds) {
  std::vector<TopCell> classes;
  for (const char* name : {"good", "asks", "plain", "old", "bad", "other"}) {
    classes.push_back(rate_cell(vip, before, "classes", name, seconds));
  }
  std::vector<TopCell> row = {text_cell(text_of(vip, "name"), Mark::kBold), sum_cell(classes)};
  classes.pop_back();
  if (classes[4].number > 0) classes[4].mark = Mark::kBad;
  row.insert(row.end(), classes.begin(), classes.end());
  row.push_back(rate_cell(vip, before, "handshakes", "accepted", seconds));
  for (const char* name : {"renew", "demote", "drop"}) {
    row.push_back(rate_cell(vip, before, "actions", name, seconds));
  }
  row.push_back(count_cell(vip, "load"));
  row.push_back(count_cell(vip, "guarded"));
  if (row.back().number > 0) row.back().mark = Mark::kWarn;
  row.push_back(text_cell(text_of(vip, "mode")));
  row.push_back(count_cell(vip, "limit"));
  return row;
}

TopTable vips_table(const json& now, const json& before) {
  TopTable table{.name = "VIPs",
                 .columns = {{"VIP", false},
                             {"SYN/s"},
                             {"good"},
                             {"asks"},
                             {"plain"},
                             {"old"},
                             {"bad"},
                             {"saved"},
                             {"renew"},
                             {"demote"},
                             {"drop"},
                             {"open"},
                             {"over"},
                             {"mode", false},
                             {"limit"}},
                 .rows = {},
                 .empty = "no VIP is watched here",
                 .sorts_by = 1};
  const double seconds = (double_of(now, "taken_ns") - double_of(before, "taken_ns")) / 1e9;
  std::map<std::string, json> earlier;
  for (const json& one : member_of(before, "vips")) earlier[text_of(one, "name")] = one;
  for (const json& one : member_of(now, "vips")) {
    table.rows.push_back(vip_row(one, earlier[text_of(one, "name")], seconds));
  }
  return table;
}

TopTable guard_table(const json& now) {
  TopTable table{.name = "Guard",
                 .columns = {{"network over its limit", false},
                             {"VIP", false},
                             {"of", false},
                             {"open"},
                             {"limit"},
                             {"SYNs over"},
                             {"for"}},
                 .rows = {},
                 .empty = "no client network is over its limit",
                 .sorts_by = 3};
  const json& guarded = member_of(now, "guarded");
  for (const json& one : array_of(guarded, "guarded")) {
    table.rows.push_back({text_cell(text_of(one, "network"), Mark::kBold),
                          text_cell(text_of(one, "vip")), text_cell(text_of(one, "level")),
                          count_cell(one, "load"), count_cell(one, "limit"),
                          count_cell(one, "over"), age_cell(one, "since", number_of(now, "now"))});
  }
  const int64_t more =
      number_of(guarded, "guarded_total") - static_cast<int64_t>(table.rows.size());
  if (more > 0) table.more = fmt::format("and {} older ones", more);
  return table;
}

TopTable alerts_table(const json& now) {
  TopTable table{.name = "Alerts",
                 .columns = {{"severity"},
                             {"rate/s"},
                             {"packets"},
                             {"sources"},
                             {"for"},
                             {"alert", false},
                             {"what", false}},
                 .rows = {},
                 .empty = "no alert is raised",
                 .more = "tfoctl alert show ID: with its evidence"};
  for (const json& one : array_of(member_of(now, "alerts"), "alerts")) {
    const json& rate = member_of(one, "rate");
    const double number = rate.is_number() ? rate.get<double>() : -1;
    table.rows.push_back({severity_cell(text_of(one, "severity")),
                          {rate_text(number), number},
                          count_cell(one, "packets"),
                          count_cell(one, "sources"),
                          age_cell(one, "raised_at", number_of(now, "now")),
                          text_cell(text_of(one, "id"), Mark::kBold),
                          text_cell(text_of(one, "summary"))});
  }
  return table;
}

TopTable findings_table(const json& now) {
  TopTable table{.name = "Why",
                 .columns = {{"weight"}, {"for"}, {"what", false}, {"of", false}, {"seen", false}},
                 .rows = {},
                 .empty = "nothing is wrong",
                 .more = "tfoctl status: with everything that was seen"};
  for (const json& one : array_of(member_of(now, "verdict"), "findings")) {
    table.rows.push_back(
        {severity_cell(text_of(one, "weight")), age_cell(one, "since", number_of(now, "now")),
         text_cell(text_of(one, "text")), text_cell(text_of(one, "subject"), Mark::kBold),
         text_cell(text_of(one, "more"))});
  }
  return table;
}

TopTable watched_table(const json& now) {
  TopTable table{.name = "Reflection",
                 .columns = {{"watched", false},
                             {"kind", false},
                             {"without SYN"},
                             {"answered"},
                             {"senders"},
                             {"state", false},
                             {"why", false}},
                 .rows = {},
                 .empty = "nobody is watched for reflection",
                 .sorts_by = 2};
  for (const json& one : array_of(member_of(now, "monitor"), "subjects")) {
    const bool ready = text_of(one, "readiness") == "ready";
    table.rows.push_back({text_cell(text_of(one, "name"), Mark::kBold),
                          text_cell(text_of(one, "kind")), count_cell(one, "unsolicited"),
                          count_cell(one, "answered"), count_cell(one, "reflectors"),
                          text_cell(text_of(one, "readiness"), ready ? Mark::kGood : Mark::kWarn),
                          text_cell(text_of(one, "why"))});
  }
  return table;
}

}  // namespace

std::vector<TopTable> top_tables(const json& now, const json& before) {
  return {vips_table(now, before), guard_table(now), alerts_table(now), findings_table(now),
          watched_table(now)};
}

}  // namespace tfo
