// SPDX-License-Identifier: BSD-2-Clause
#include "tools/top_frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tools/client.h"
#include "tools/text_table.h"

namespace tfo {
namespace {

using nlohmann::json;

constexpr std::string_view kKeys =
    "q quit  1-5 or Tab table  < > sort  r reverse  arrows scroll  Space pause";

size_t length(const Line& line) {
  size_t sum = 0;
  for (const Span& span : line) sum += span.text.size();
  return sum;
}

void cut(Line& line, size_t columns) {
  for (Span& span : line) {
    span.text = plain_text(std::move(span.text)).substr(0, columns);
    columns -= span.text.size();
  }
}

Mark health_mark(const std::string& health) {
  if (health == "works") return Mark::kGood;
  if (health == "degraded") return Mark::kWarn;
  return health == "off" ? Mark::kBad : Mark::kBold;
}

std::string milliseconds(const json& object, const char* key) {
  if (!member_of(object, key).is_number()) return "-";
  const double ms = double_of(object, key);
  if (ms < 0.1) return "<0.1 ms";
  if (ms < 10) return fmt::format("{:.1f} ms", ms);
  if (ms < 10'000) return fmt::format("{:.0f} ms", ms);
  return duration_words(static_cast<int64_t>(ms / 1000));
}

Line head(const json& now, const TopState& state, size_t columns) {
  const std::string instance = text_of(now, "instance");
  const std::string name = text_of(now, "node") + (instance == "default" ? "" : " / " + instance);
  Line line = {{"tfoguard ", Mark::kBold},
               {name},
               {fmt::format("  tfod {}, up {}", text_of(now, "version"),
                            duration_words(number_of(now, "uptime_s"))),
                Mark::kSoft}};
  const std::string clock = time_words(number_of(now, "now")) + (state.paused ? " paused" : "");
  const size_t used = length(line);
  const size_t gap = used + clock.size() + 2 <= columns ? columns - used - clock.size() : 2;
  line.push_back({std::string(gap, ' ')});
  line.push_back({clock, state.paused ? Mark::kWarn : Mark::kSoft});
  return line;
}

/// The sentence, on two lines if it is too long for one.
std::vector<Line> sentence(const json& now, const TopState& state, size_t columns) {
  if (!state.trouble.empty()) {
    return {{{fmt::format("no answer since {}: ", time_words(number_of(now, "now"))), Mark::kBad},
             {state.trouble}}};
  }
  const json& verdict = member_of(now, "verdict");
  const Mark mark = health_mark(text_of(verdict, "health"));
  const std::string headline = text_of(verdict, "headline");
  const std::string reason = text_of(verdict, "reason");
  if (headline.size() + 2 + reason.size() <= columns) return {{{headline, mark}, {": " + reason}}};
  return {{{headline + ":", mark}}, {{"  " + reason}}};
}

/// What happened between the two readings; of the last minute, as long as there is only one.
json lately(const json& now, const json& before) {
  const double seconds = (double_of(now, "taken_ns") - double_of(before, "taken_ns")) / 1e9;
  if (!before.is_object() || seconds <= 0) return member_of(now, "minute");
  const json &later = member_of(now, "totals"), &earlier = member_of(before, "totals");
  json out = {{"seconds", seconds}};
  const auto less = [](const json& a, const json& b, const std::string& name) {
    return std::max(0.0, double_of(a, name.c_str()) - double_of(b, name.c_str()));
  };
  out["unsolicited"] = less(later, earlier, "unsolicited");
  for (const char* group : {"classes", "handshakes"}) {
    for (const auto& [name, count] : member_of(later, group).items()) {
      out[group][name] = less(member_of(later, group), member_of(earlier, group), name);
    }
  }
  return out;
}

Line classes_line(const json& recent, double seconds) {
  const json& classes = member_of(recent, "classes");
  double all = 0;
  for (const json& one : classes) all += one.is_number() ? one.get<double>() : 0;
  const auto rate = [&](double count) { return rate_text(seconds > 0 ? count / seconds : -1); };
  Line line = {{"SYNs/s     ", Mark::kSoft}, {rate(all), Mark::kBold}};
  for (const auto& [name, mark] : {std::pair{"good", Mark::kGood},
                                   {"asks", Mark::kPlain},
                                   {"plain", Mark::kPlain},
                                   {"old", Mark::kWarn},
                                   {"bad", Mark::kBad},
                                   {"other", Mark::kPlain}}) {
    const double count = double_of(classes, name);
    line.push_back({fmt::format("  {} ", name), Mark::kSoft});
    line.push_back({rate(count), count > 0 ? mark : Mark::kPlain});
  }
  return line;
}

Line saved_line(const json& now, const json& recent, double seconds) {
  const json& saved = member_of(now, "saved");
  if (text_of(saved, "measured") != "yes") {
    return {{"saved      ", Mark::kSoft}, {"not measured: the guard is off"}};
  }
  const double accepted = double_of(member_of(recent, "handshakes"), "accepted");
  return {{"saved      ", Mark::kSoft},
          {rate_text(seconds > 0 ? accepted / seconds : -1) + "/s", Mark::kBold},
          {fmt::format("  {} round trips in all, {} ({} each)", text_of(saved, "round_trips"),
                       milliseconds(saved, "saved_ms"), milliseconds(saved, "handshake_ms"))}};
}

Line guard_line(const json& now, const json& recent, double seconds) {
  double open = 0;
  for (const json& vip : member_of(now, "vips")) open += double_of(vip, "load");
  const int64_t over = number_of(member_of(now, "guarded"), "guarded_total");
  const size_t alerts = array_of(member_of(now, "alerts"), "alerts").size();
  const double unsolicited = double_of(recent, "unsolicited");
  return {{"guard      ", Mark::kSoft},
          {fmt::format("{:.0f} open, ", open)},
          {fmt::format("{} networks over", over), over > 0 ? Mark::kWarn : Mark::kPlain},
          {"   SYN-ACKs without SYN ", Mark::kSoft},
          {rate_text(seconds > 0 ? unsolicited / seconds : -1) + "/s",
           unsolicited > 0 ? Mark::kWarn : Mark::kPlain},
          {"   alerts ", Mark::kSoft},
          {fmt::format("{}", alerts), alerts > 0 ? Mark::kBad : Mark::kPlain}};
}

Line pool_line(const json& pool, int64_t now) {
  Line line = {
      {fmt::format("{:<11}", "pool " + text_of(pool, "name")), Mark::kSoft},
      {text_of(pool, "state"), text_of(pool, "state") == "steady" ? Mark::kGood : Mark::kWarn}};
  for (const json& key : array_of(pool, "ring")) {
    const int64_t made = number_of(key, "created_at");
    line.push_back({fmt::format("  {} ", text_of(key, "place")), Mark::kSoft});
    line.push_back({text_of(key, "fingerprint")});
    if (made > 0) line.push_back({" " + duration_words(now - made)});
  }
  const int64_t next = number_of(pool, "next_rotation");
  if (next > now) line.push_back({"  next in " + duration_words(next - now), Mark::kSoft});
  return line;
}

std::vector<Line> summary(const json& now, const json& before, const TopState& state,
                          TopSize size) {
  const json recent = lately(now, before);
  const double seconds = double_of(recent, "seconds");
  std::vector<Line> lines = {head(now, state, size.columns)};
  std::ranges::move(sentence(now, state, size.columns), std::back_inserter(lines));
  lines.push_back(classes_line(recent, seconds));
  lines.push_back(saved_line(now, recent, seconds));
  lines.push_back(guard_line(now, recent, seconds));
  // Half of the screen is the table's.
  const json pools = array_of(now, "pools");
  const size_t room =
      size.rows == 0 ? pools.size() : size.rows / 2 - std::min(lines.size(), size.rows / 2);
  for (size_t i = 0; i < pools.size() && i < room; ++i) {
    lines.push_back(pool_line(pools[i], number_of(now, "now")));
  }
  return lines;
}

Line tabs(const std::vector<TopTable>& tables, size_t chosen) {
  Line line;
  for (size_t i = 0; i < tables.size(); ++i) {
    const size_t rows = tables[i].rows.size();
    line.push_back({fmt::format("{}{}:{}", i == 0 ? "" : "  ", i + 1, i == chosen ? "[" : " "),
                    i == chosen ? Mark::kBold : Mark::kSoft});
    line.push_back({fmt::format("{} {}{}", tables[i].name, rows, i == chosen ? "]" : " "),
                    i == chosen ? Mark::kBold : Mark::kSoft});
  }
  return line;
}

void sort_next(TopSort& sort, const TopTable& table, bool right) {
  const size_t count = table.columns.size();
  const size_t at = sort.chosen ? sort.column : table.sorts_by;
  sort = {.chosen = true, .column = (at + (right ? 1 : count - 1)) % count, .reversed = false};
}

}  // namespace

bool TopState::press(std::string_view key, const json& now) {
  constexpr size_t kPage = 10;
  const TopTable shown = top_tables(now, nullptr).at(table);
  const size_t last = shown.rows.empty() ? 0 : shown.rows.size() - 1;
  if (key == "q" || key == "Q") return false;
  if (key == " ") paused = !paused;
  if (key == "r") sorts.at(table).reversed = !sorts.at(table).reversed;
  if (key == "<" || key == ">") sort_next(sorts.at(table), shown, key == ">");
  if (key == "down") from = std::min(from + 1, last);
  if (key == "pagedown") from = std::min(from + kPage, last);
  if (key == "up") from -= std::min<size_t>(from, 1);
  if (key == "pageup") from -= std::min(from, kPage);
  const bool digit =
      key.size() == 1 && key[0] >= '1' && key[0] < '1' + static_cast<int>(kTopTables);
  if (key == "tab" || digit) {
    table = digit ? static_cast<size_t>(key[0] - '1') : (table + 1) % kTopTables;
    from = 0;
  }
  return true;
}

std::vector<Line> top_frame(const json& now, const json& before, const TopState& state,
                            TopSize size) {
  std::vector<TopTable> tables = top_tables(now, before);
  TopTable& table = tables.at(state.table);
  const TopSort& sort = state.sorts.at(state.table);
  sort_table(table, sort);
  std::vector<Line> lines = summary(now, before, state, size);
  if (size.rows == 0 || size.rows > lines.size() + 8) lines.emplace_back();
  lines.push_back(tabs(tables, state.table));
  const bool bounded = size.rows != 0;
  const size_t foot = bounded ? 1 : 0;
  const size_t used = lines.size() + 1 + foot;  // with the table's titles
  const size_t room = !bounded ? table.rows.size() : size.rows > used ? size.rows - used : 0;
  const size_t from = std::min(state.from, table.rows.size());
  std::ranges::move(table_lines(table, sort, size.columns, from, room), std::back_inserter(lines));
  const size_t left = table.rows.size() - from;
  if (left <= room && !table.more.empty() && !table.rows.empty() &&
      (!bounded || lines.size() + foot < size.rows)) {
    lines.push_back({{table.more, Mark::kSoft}});
  }
  if (bounded) {
    lines.resize(std::max<size_t>(size.rows, 1) - foot);
    lines.push_back({{std::string(kKeys), Mark::kSoft}});
    if (left > room)
      lines.back() = {
          {fmt::format("{} more rows: arrows scroll  q quit  Tab table  < > sort  r reverse",
                       left - room),
           Mark::kSoft}};
  }
  for (Line& line : lines) cut(line, size.columns);
  return lines;
}

std::string text_of_line(const Line& line, bool colours) {
  constexpr const char* kCodes[] = {"", "1", "2", "32", "33", "1;31", "7"};
  std::string text;
  for (const Span& span : line) {
    const bool marked = colours && span.mark != Mark::kPlain && !span.text.empty();
    if (marked) text += fmt::format("\033[{}m", kCodes[static_cast<size_t>(span.mark)]);
    text += span.text;
    if (marked) text += "\033[0m";
  }
  if (!colours) text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

}  // namespace tfo
