// SPDX-License-Identifier: BSD-2-Clause
#include "tools/stats_text.h"

#include <fmt/format.h>

#include "bpf/tfo_abi.h"
#include "tools/client.h"
#include "tools/text_table.h"

namespace tfo {

using nlohmann::json;

namespace {

struct Reason {
  const char* label;
  const char* sentence;
};

constexpr Reason kReasons[] = {
#define TFO_REASON_ROW(id, name, label, sentence) {label, sentence},
    TFO_REASONS(TFO_REASON_ROW)
#undef TFO_REASON_ROW
};

/// A column of the overview: the sum of some reasons.
struct Column {
  const char* title;
  std::vector<const char*> reasons;
};

const std::vector<Column>& columns() {
  static const std::vector<Column> all = {
      {"plain", {"plain", "data_no_option"}},
      {"request", {"request"}},
      {"valid", {"cookie_current", "cookie_staged", "cookie_previous", "cookie_retired"}},
      {"invalid", {"cookie_invalid", "cookie_length", "cookie_revoked"}},
      {"ignored", {"option_ignored"}},
      {"unchecked", {"no_key", "truncated", "internal_error"}},
  };
  return all;
}

json member(const json& object, const char* key) {
  return object.is_object() && object.contains(key) ? object[key] : json();
}

/// The entry of `vips` in an earlier reading; null if there is none.
json earlier_vip(const json& before, const std::string& name) {
  for (const json& vip : array_of(before, "vips")) {
    if (text_of(vip, "name") == name) return vip;
  }
  return nullptr;
}

/// A counter that starts anew (another daemon, other maps) has no rate.
std::string rate_words(int64_t now, int64_t before, double seconds) {
  if (seconds <= 0 || now < before) return "-";
  const double rate = static_cast<double>(now - before) / seconds;
  return rate < 10 && rate > 0 ? fmt::format("{:.1f}", rate) : fmt::format("{:.0f}", rate);
}

int64_t sum_of(const json& reasons, const std::vector<const char*>& labels) {
  int64_t sum = 0;
  for (const char* label : labels) sum += number_of(reasons, label);
  return sum;
}

int64_t sum_of_all(const json& reasons) {
  int64_t sum = 0;
  for (const Reason& reason : kReasons) sum += number_of(reasons, reason.label);
  return sum;
}

std::vector<std::string> overview_row(const json& vip, const Rates* rates) {
  const json now = member(vip, "reasons");
  const std::string name = text_of(vip, "name");
  const json before = rates ? member(earlier_vip(rates->before, name), "reasons") : json();
  const double seconds = rates && before.is_object() ? rates->seconds : 0;
  std::vector<std::string> cells = {name, fmt::format("{}", sum_of_all(now))};
  if (rates) cells.push_back(rate_words(sum_of_all(now), sum_of_all(before), seconds));
  for (const Column& column : columns()) {
    const int64_t count = sum_of(now, column.reasons);
    cells.push_back(rates ? rate_words(count, sum_of(before, column.reasons), seconds)
                          : fmt::format("{}", count));
  }
  const int64_t renewed = number_of(member(vip, "actions"), "renew");
  const json earlier = rates ? member(earlier_vip(rates->before, name), "actions") : json();
  cells.push_back(rates ? rate_words(renewed, number_of(earlier, "renew"), seconds)
                        : fmt::format("{}", renewed));
  return cells;
}

void print_reasons(std::ostream& out, const json& now, const json& before, const Rates* rates,
                   const char* title) {
  std::vector<std::string> titles = {title, "packets"};
  if (rates) titles.emplace_back("per second");
  titles.emplace_back("<meaning");
  TextTable table(titles);
  for (const Reason& reason : kReasons) {
    const int64_t count = number_of(now, reason.label);
    if (count == 0) continue;
    std::vector<std::string> cells = {reason.label, fmt::format("{}", count)};
    if (rates) {
      cells.push_back(rate_words(count, number_of(before, reason.label),
                                 before.is_object() ? rates->seconds : 0));
    }
    cells.emplace_back(reason.sentence);
    table.add(std::move(cells));
  }
  if (table.empty()) {
    out << "nothing counted yet\n";
  } else {
    table.print(out);
  }
}

constexpr Reason kOutcomes[] = {
#define TFO_OUTCOME_ROW(id, name, label, sentence) {label, sentence},
    TFO_OUTCOMES(TFO_OUTCOME_ROW)
#undef TFO_OUTCOME_ROW
};

/// How handshakes that a valid cookie opened came out.
void print_handshakes(std::ostream& out, const json& vip, const json& before, const Rates* rates) {
  const json now = member(vip, "handshakes");
  const json earlier = member(before, "handshakes");
  std::vector<std::string> titles = {"handshake", "SYNs"};
  if (rates) titles.emplace_back("per second");
  titles.emplace_back("<meaning");
  TextTable table(titles);
  for (const Reason& outcome : kOutcomes) {
    const int64_t count = number_of(now, outcome.label);
    if (count == 0) continue;
    std::vector<std::string> cells = {outcome.label, fmt::format("{}", count)};
    if (rates) {
      cells.push_back(rate_words(count, number_of(earlier, outcome.label),
                                 earlier.is_object() ? rates->seconds : 0));
    }
    cells.emplace_back(outcome.sentence);
    table.add(std::move(cells));
  }
  if (table.empty()) return;
  out << '\n';
  table.print(out);
}

/// The client's round trip: what Fast Open saves it.
void print_syn_to_ack(std::ostream& out, const json& vip) {
  const json buckets = array_of(member(vip, "syn_to_ack"), "buckets");
  int64_t all = 0;
  for (const json& one : buckets) all += number_of(one, "count");
  if (all == 0) return;
  TextTable table({"SYN to ACK", "handshakes", "share"});
  double from = 0;
  for (const json& one : buckets) {
    const int64_t count = number_of(one, "count");
    const bool last = text_of(one, "below_ms") == "-";
    const double end = last ? 0 : one["below_ms"].get<double>();
    if (count != 0) {
      table.add(
          {last ? fmt::format("{:.0f} ms and more", from)
                : fmt::format("{:.0f} to {:.0f} ms", from, end),
           fmt::format("{}", count),
           fmt::format("{:.1f} %", 100.0 * static_cast<double>(count) / static_cast<double>(all))});
    }
    from = end;
  }
  out << '\n';
  table.print(out);
}

void print_guard(std::ostream& out, const json& vip) {
  const json guard = member(vip, "guard");
  const json over = member(guard, "over");
  std::string words;
  const auto add = [&words](int64_t count, const char* what) {
    if (count != 0) words += fmt::format("{}{} {}", words.empty() ? "" : ", ", count, what);
  };
  add(number_of(over, "address") + number_of(over, "network") + number_of(over, "site"),
      "SYNs of networks over their limits");
  add(number_of(over, "vip"), "over the VIP's");
  add(number_of(guard, "duplicate"), "copies of SYN data");
  add(number_of(guard, "denied"), "of denied networks");
  add(number_of(guard, "held"), "over a limit and let through while blind");
  add(number_of(guard, "spared"), "refused and let through by the policy");
  add(number_of(guard, "events_lost"), "events lost");
  if (!words.empty()) out << "\nguard: " << words << '\n';
}

}  // namespace

void print_vips(std::ostream& out, const json& stats, const Rates* rates) {
  std::vector<std::string> titles = {"vip", "SYNs"};
  if (rates) titles.emplace_back("SYNs/s");
  for (const Column& column : columns()) {
    titles.push_back(rates ? fmt::format("{}/s", column.title) : column.title);
  }
  titles.emplace_back(rates ? "renewed/s" : "renewed");
  TextTable table(titles);
  for (const json& vip : array_of(stats, "vips")) table.add(overview_row(vip, rates));
  if (table.empty()) {
    out << "no VIPs\n";
  } else {
    table.print(out);
  }
}

void print_overview(std::ostream& out, const json& stats, const Rates* rates) {
  print_vips(out, stats, rates);
  out << '\n';
  print_reasons(out, member(stats, "node"), rates ? member(rates->before, "node") : json(), rates,
                "no VIP");
}

void print_vip(std::ostream& out, const json& vip, const Rates* rates) {
  const std::string name = text_of(vip, "name");
  const json before = rates ? earlier_vip(rates->before, name) : json();
  out << printable("VIP " + name) << '\n';
  print_reasons(out, member(vip, "reasons"), member(before, "reasons"), rates, "reason");
  TextTable table({"action", "done", "would"});
  for (const char* action : {"pass", "renew", "demote", "drop"}) {
    table.add({action, fmt::format("{}", number_of(member(vip, "actions"), action)),
               fmt::format("{}", number_of(member(vip, "would"), action))});
  }
  out << '\n';
  table.print(out);
  print_handshakes(out, vip, before, rates);
  print_syn_to_ack(out, vip);
  print_guard(out, vip);
}

}  // namespace tfo
