// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <fstream>

#include "tools/client.h"
#include "tools/commands.h"
#include "tools/stop_signal.h"
#include "tools/text_table.h"

namespace tfo {

using nlohmann::json;

namespace {

using Clock = std::chrono::steady_clock;

/// Whole packets a second, or a blank for what has no rate.
std::string rate_of(const json& alert, const char* key) {
  const auto field = alert.find(key);
  const bool number = field != alert.end() && field->is_number();
  return number ? fmt::format("{:.0f}/s", field->get<double>()) : "-";
}

void print_alerts(Context& context, const json& reply) {
  TextTable table({"alert", "<severity", "<since", "now", "peak", "packets", "sources", "<what"});
  for (const json& one : array_of(reply, "alerts")) {
    table.add({text_of(one, "id"), text_of(one, "severity"),
               time_words(number_of(one, "raised_at")), rate_of(one, "rate"),
               rate_of(one, "peak_rate"), text_of(one, "packets"), text_of(one, "sources"),
               text_of(one, "summary")});
  }
  if (table.empty()) {
    context.out << "no alert is raised\n";
    return;
  }
  table.print(context.out);
}

/// What keeps the list from being the whole truth.
void print_limits(Context& context, const json& reply) {
  const json crowded = reply.value("crowded_out", json::object());
  const int64_t more = number_of(crowded, "warning") + number_of(crowded, "critical");
  if (more > 0) {
    context.out << fmt::format("and {} more, {} of them critical, for which there is no room\n",
                               more, number_of(crowded, "critical"));
  }
  if (number_of(reply, "untracked") > 0) {
    context.out << fmt::format("{} subjects are not watched: there are too many\n",
                               number_of(reply, "untracked"));
  }
  TextTable table({"not judged now", "<rule", "<state", "<why"});
  for (const json& one : array_of(reply, "waiting")) {
    table.add({text_of(one, "subject"), text_of(one, "rule"), text_of(one, "readiness"),
               text_of(one, "why")});
  }
  if (!table.empty()) {
    context.out << '\n';
    table.print(context.out);
    const int64_t shown = static_cast<int64_t>(array_of(reply, "waiting").size());
    const int64_t rest = number_of(reply, "waiting_total") - shown;
    if (rest > 0) context.out << fmt::format("and {} more\n", rest);
  }
}

void print_peers(Context& context, const json& reply) {
  for (const json& peer : array_of(reply, "alertmanager")) {
    const std::string error = text_of(peer, "error");
    if (error.empty()) continue;
    context.out << printable(fmt::format("Alertmanager {} takes nothing: {} ({} failures)",
                                         text_of(peer, "url"), error, text_of(peer, "failures")))
                << '\n';
  }
}

void print_alert(Context& context, const json& alert) {
  const std::pair<const char*, std::string> lines[] = {
      {"alert", text_of(alert, "id")},
      {"what", text_of(alert, "summary")},
      {"severity", text_of(alert, "severity")},
      {"pool", text_of(alert, "pool")},
      {"began", time_words(number_of(alert, "first_seen"))},
      {"raised", time_words(number_of(alert, "raised_at"))},
      {"last seen", time_words(number_of(alert, "last_seen"))},
      {"rate now", rate_of(alert, "rate")},
      {"rate at most", rate_of(alert, "peak_rate")},
      {"packets", text_of(alert, "packets")},
      {"bytes", text_of(alert, "bytes")},
      {"sources", text_of(alert, "sources")},
      {"absorbed alerts", text_of(alert, "absorbed")},
      {"what to do", text_of(alert, "runbook")}};
  TextTable table({"", "<"});
  for (const auto& [name, value] : lines) {
    if (value != "-" && !value.empty()) table.add({name, value});
  }
  if (const auto cleared = alert.find("cleared"); cleared != alert.end()) {
    table.add({"cleared", time_words(number_of(*cleared, "at")) + ", " + text_of(*cleared, "why")});
  }
  table.print(context.out);
  const json evidence = alert.value("evidence", json());
  if (evidence.is_null()) return;
  // dump() escapes control characters of strings.
  context.out << "\nevidence, of " << time_words(number_of(alert, "updated_at")) << ":\n"
              << evidence.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
}

void print_change(Context& context, const json& change) {
  if (context.json) {
    print_json(context, change);
    return;
  }
  const json alert = change.value("alert", json::object());
  std::string line =
      fmt::format("{}  {:8}  {:8}  {}", time_words(number_of(change, "at")),
                  text_of(change, "what"), text_of(alert, "severity"), text_of(alert, "id"));
  if (change.contains("was")) line += " was " + text_of(change, "was");
  if (change.contains("why")) line += ": " + text_of(change, "why");
  if (change.value("what", "") == "raised") line += ": " + text_of(alert, "summary");
  if (rate_of(alert, "rate") != "-") line += "; " + rate_of(alert, "rate");
  context.out << printable(line) << '\n';
}

int write_headers(Context& context, const AlertArgs& args) {
  const auto reply = call(context, "alert-pcap", {{"id", args.id}});
  if (!reply) return report(context, reply.error());
  if (reply->is_null()) return say_no(context, "no headers of alert " + args.id + " are known");
  std::string bytes;
  for (const json& byte : *reply) bytes += static_cast<char>(byte.get<uint8_t>());
  std::ofstream file(args.pcap, std::ios::binary | std::ios::trunc);
  file << bytes << std::flush;
  if (!file) return say(context, "cannot write " + args.pcap, kExitFailed);
  return kExitOk;
}

/// Where the following stands: a number within one run of tfod.
struct Place {
  json run;
  json seq;
};

/// What is new; `at` moves on.
Result<json> news(const Context& context, Place& at) {
  auto reply = at.seq.is_null()
                   ? call(context, "alert-changes")
                   : call(context, "alert-changes", {{"run", at.run}, {"after", at.seq}});
  if (!reply) return reply;
  at = {reply->value("run", json()), reply->value("seq", json())};
  return reply;
}

}  // namespace

int alert_list(Context& context) {
  const auto reply = call(context, "alert-list");
  if (!reply) return report(context, reply.error());
  if (context.json) {
    print_json(context, *reply);
    return kExitOk;
  }
  print_alerts(context, *reply);
  print_limits(context, *reply);
  print_peers(context, *reply);
  return kExitOk;
}

int alert_show(Context& context, const AlertArgs& args) {
  const auto reply = call(context, "alert-show", {{"id", args.id}});
  if (!reply) return report(context, reply.error());
  if (context.json) print_json(context, *reply);
  if (reply->is_null()) {
    if (context.json) return kExitNo;
    return say_no(context, "no alert " + args.id + " is raised, nor was one cleared lately");
  }
  if (!context.json) print_alert(context, *reply);
  return args.pcap.empty() ? kExitOk : write_headers(context, args);
}

int alert_follow(Context& context, const AlertArgs& args) {
  StopSignal stop;
  const auto step =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(args.interval));
  Place at;
  bool away = false;
  for (unsigned printed = 0;;) {
    const auto reply = news(context, at);
    if (!reply && at.seq.is_null()) return report(context, reply.error());
    if (!reply && !away) say(context, "tfod does not answer; waiting for it", kExitFailed);
    if (reply && away) say(context, "tfod answers again", kExitOk);
    away = !reply;
    if (reply && number_of(*reply, "missed") > 0) {
      say(context, text_of(*reply, "missed") + " changes are forgotten already", kExitOk);
    }
    for (const json& change : reply ? array_of(*reply, "changes") : json::array()) {
      print_change(context, change);
      if (++printed == args.count) return kExitOk;
    }
    context.out << std::flush;
    if (!context.out) return kExitFailed;
    if (stop.wait_until(Clock::now() + step)) return kExitOk;
  }
}

}  // namespace tfo
