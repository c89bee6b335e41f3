// SPDX-License-Identifier: BSD-2-Clause
#include "tools/replay_report.h"

#include <fmt/format.h>

#include <set>

#include "loader/observe/reason_table.h"
#include "loader/observe/report.h"
#include "tools/replay_alerts.h"
#include "tools/stats_text.h"
#include "tools/text_table.h"

namespace tfo {

using nlohmann::ordered_json;

namespace {

Counters sum_of(const Snapshot& snapshot) {
  Counters sum = snapshot.node;
  for (const VipCounters& vip : snapshot.vips) add_counters(sum, vip.counters);
  return sum;
}

ordered_json actions_json(const __u64 (&counts)[TFO_ACTION_COUNT]) {
  ordered_json object;
  for (unsigned action = 0; action < TFO_ACTION_COUNT; action++) {
    object[std::string(action_label(action))] = counts[action];
  }
  return object;
}

ordered_json skipped_json(const ReplayTotals& totals) {
  ordered_json object = {{"total", totals.all_skipped()}};
  for (size_t i = 0; i < kSkips; i++) {
    object[std::string(skip_label(static_cast<Skip>(i)))] = totals.skipped[i];
  }
  return object;
}

ordered_json refused_json(const ReplayOutcome& outcome) {
  ordered_json clients = ordered_json::array();
  for (const auto& [client, count] : outcome.refused.largest(outcome.most_refused)) {
    clients.push_back({{"client", address_text(client.family, client.address)},
                       {"vip", outcome.world.vip_name(client.slot)},
                       {"reason", reason_label(client.reason)},
                       {"syns", count.syns},
                       {"with_data", count.with_data},
                       {"why", refusal(client.reason)}});
  }
  return {{"syns", outcome.refused.total().syns},
          {"with_data", outcome.refused.total().with_data},
          {"rows", outcome.refused.rows()},
          {"given_up", outcome.refused.given_up().syns},
          {"clients", std::move(clients)}};
}

std::string link_types(const CaptureReader& reader) {
  std::set<std::string> names;
  for (const CaptureInterface& interface : reader.interfaces()) {
    names.insert(LinkShaper::name(interface.link_type));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

void print_head(std::ostream& out, const ReplayOutcome& outcome) {
  const ReplayTotals& totals = outcome.totals;
  const std::string links = link_types(outcome.reader);
  out << fmt::format("{} ({}{}): {} frames", printable(outcome.file), outcome.reader.format(),
                     links.empty() ? "" : ", " + links, totals.captured());
  if (const auto& times = totals.times) {
    const auto first = static_cast<int64_t>(times->first_ns / 1'000'000'000);
    const auto last = static_cast<int64_t>(times->last_ns / 1'000'000'000);
    out << fmt::format(", {} and {} on", time_words(first), duration_words(last - first));
  }
  out << '\n';
  for (size_t i = 0; i < kSkips; i++) {
    if (totals.skipped[i] == 0) continue;
    out << fmt::format("skipped {}: {}\n", totals.skipped[i], skip_sentence(static_cast<Skip>(i)));
  }
  if (totals.steps_back > 0) {
    out << fmt::format("the capture's clock stepped back {} times by more than a second\n",
                       totals.steps_back);
  }
  out << '\n';
}

void print_totals(std::ostream& out, const ReplayOutcome& outcome, const Counters& sum) {
  if (!outcome.world.every_vip()) {
    print_vips(out, stats_json(outcome.counters), nullptr);
    out << '\n';
  }
  TextTable reasons({"reason", "frames", "<meaning"});
  for (unsigned reason = 0; reason < TFO_REASON_COUNT; reason++) {
    const uint64_t count = reason_total(sum, reason);
    if (count == 0) continue;
    reasons.add({std::string(reason_label(reason)), std::to_string(count),
                 std::string(reason_sentence(reason))});
  }
  if (!reasons.empty()) reasons.print(out);
  out << '\n';
  TextTable actions({"action", "done", "would"});
  for (unsigned action = 0; action < TFO_ACTION_COUNT; action++) {
    actions.add({std::string(action_label(action)), std::to_string(sum.action[action]),
                 std::to_string(sum.would[action])});
  }
  actions.print(out);
}

uint64_t vip_syns(const Counters& sum) {
  uint64_t syns = 0;
  for (unsigned reason = TFO_PLAIN; reason <= TFO_NO_KEY; reason++) {
    syns += reason_total(sum, reason);
  }
  return syns;
}

/// What there is to say where no refusal is known.
void print_none_refused(std::ostream& out, uint64_t unchecked, const Counters& sum) {
  if (vip_syns(sum) == 0) {
    out << "\nNo SYN to a VIP was judged.\n";
  } else if (unchecked == 0) {
    out << "\nThe servers refuse nobody's Fast Open here.\n";
  }
}

void print_refused(std::ostream& out, const ReplayOutcome& outcome, const Counters& sum) {
  const RefusedClients& refused = outcome.refused;
  const uint64_t unchecked = reason_total(sum, TFO_NO_KEY);
  if (unchecked > 0) {
    out << fmt::format("\n{} cookies could not be checked: {}\n", unchecked,
                       outcome.world.every_vip()
                           ? "no key. Give the servers' keys with --key-file."
                           : "every key of the pool had expired by the capture's clock.");
  }
  if (refused.total().syns == 0) return print_none_refused(out, unchecked, sum);
  const auto rows = refused.largest(outcome.most_refused);
  out << fmt::format("\nWhose Fast Open the servers refuse: {} SYNs, {} of them with data\n",
                     refused.total().syns, refused.total().with_data);
  TextTable table({"client", "<vip", "SYNs", "with data", "<reason", "<why"});
  for (const auto& [client, count] : rows) {
    table.add({address_text(client.family, client.address), outcome.world.vip_name(client.slot),
               std::to_string(count.syns), std::to_string(count.with_data),
               std::string(reason_label(client.reason)), std::string(refusal(client.reason))});
  }
  if (!rows.empty()) table.print(out);
  if (refused.rows() > rows.size()) {
    out << fmt::format("and {} rows more; --refused N shows them\n", refused.rows() - rows.size());
  }
  if (refused.given_up().syns > 0) {
    out << fmt::format("and {} SYNs of clients too many to list, each of few SYNs\n",
                       refused.given_up().syns);
  }
}

}  // namespace

ordered_json replay_json(const ReplayOutcome& outcome) {
  const Counters sum = sum_of(outcome.counters);
  const ReplayTotals& totals = outcome.totals;
  ordered_json reasons;
  for (unsigned reason = 0; reason < TFO_REASON_COUNT; reason++) {
    reasons[std::string(reason_label(reason))] = reason_total(sum, reason);
  }
  const nlohmann::json stats = stats_json(outcome.counters);
  ordered_json document = {{"file", outcome.file},
                           {"format", outcome.reader.format()},
                           {"complete", !outcome.error},
                           {"captured", totals.captured()},
                           {"frames", totals.frames},
                           {"skipped", skipped_json(totals)},
                           {"steps_back", totals.steps_back},
                           {"reasons", std::move(reasons)},
                           {"actions", actions_json(sum.action)},
                           {"would", actions_json(sum.would)},
                           {"node", stats.at("node")},
                           {"vips", stats.at("vips")},
                           {"refused", refused_json(outcome)}};
  add_replayed_alerts(document, outcome.world.alarms());
  if (const auto& times = totals.times) {
    document["first_ns"] = times->first_ns;
    document["last_ns"] = times->last_ns;
  }
  if (outcome.error) document["error"] = outcome.error->message;
  return document;
}

void print_replay(std::ostream& out, const ReplayOutcome& outcome) {
  const Counters sum = sum_of(outcome.counters);
  print_head(out, outcome);
  print_totals(out, outcome, sum);
  print_refused(out, outcome, sum);
  if (const ReplayAlarms* alarms = outcome.world.alarms()) print_replayed_alerts(out, *alarms);
}

}  // namespace tfo
