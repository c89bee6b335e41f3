// SPDX-License-Identifier: BSD-2-Clause
// What an alert shows of a subject: exact volumes from the counters, shares from the samples.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "loader/monitor/monitor.h"

namespace tfo {
namespace {

using nlohmann::json;

constexpr double kReflectorError = 0.016;
constexpr size_t kMostBytes = 3300;  // an alert shows at most 4 KiB, with what tfod adds
constexpr size_t kRows = 10;
constexpr std::chrono::seconds kCountEvery{10};

/// What was counted since `start`; all of it if the counters began anew.
tfo_monitor_counters since(tfo_monitor_counters counters, const tfo_monitor_counters& start) {
  auto* to = reinterpret_cast<uint64_t*>(&counters);
  const auto* from = reinterpret_cast<const uint64_t*>(&start);
  for (size_t i = 0; i < sizeof(counters) / sizeof(uint64_t); i++) {
    if (to[i] >= from[i]) to[i] -= from[i];
  }
  return counters;
}

json volumes(const tfo_monitor_counters& counters) {
  const tfo_tally sum = unsolicited(counters);
  const auto& cell = counters.unsolicited;
  return {
      {"packets", sum.packets},
      {"bytes", sum.bytes},
      {"fast_open", cell[1][0].packets + cell[1][1].packets},
      {"with_payload", cell[0][1].packets + cell[1][1].packets},
      {"payload_bytes", counters.payload},
      {"resets", counters.resets},
      {"repeats_at_least", counters.repeats},
      {"followed_at_least", {{"packets", counters.after.packets}, {"bytes", counters.after.bytes}}},
      {"syns_out", counters.syns_out},
      {"answered", counters.answered},
      {"answered_wrongly_at_least", counters.mismatched},
      {"samples_lost", counters.samples_lost}};
}

/// For tcpdump: what comes to the victim from the commonest port.
std::string filter(const MonitorSubject& subject, const json& ports) {
  std::string text = "(";
  for (size_t i = 0; i < std::min<size_t>(subject.prefixes.size(), 8); i++) {
    text += fmt::format("{}dst net {}", i == 0 ? "" : " or ", network_text(subject.prefixes[i]));
  }
  text += ")";
  if (!ports.empty() && ports[0].at("share").get<double>() > 0.5) {
    text += fmt::format(" and tcp src port {}", ports[0].at("port").get<uint32_t>());
  }
  // tcp[] is of IPv4 alone; behind the fixed header of IPv6 the flags are at 40 + 13.
  return text + " and (tcp[13] & 0x12 = 0x12 or ip6[53] & 0x12 = 0x12)";
}

/// What is worth least loses its rows first, each table in turn down to five, to two, to none.
json bounded(json evidence) {
  constexpr const char* kByWorth[] = {"victim_networks", "destination_ports", "victims",
                                      "source_ports", "reflectors"};
  for (const size_t left : {5, 2, 0}) {
    for (const char* name : kByWorth) {
      json& table = evidence["top"][name];
      while (table.size() > left && evidence.dump().size() > kMostBytes) {
        table.erase(table.size() - 1);
      }
    }
  }
  return evidence;
}

}  // namespace

/// Another attack than the one that was shown: its volume and its reflectors begin anew with its
/// tables. What it had before the first sample of it was taken is in there, too.
Result<> SynAckMonitor::follow_attack(Watched& watched) {
  const auto began = book_.began(watched.number);
  if (began && began != watched.began) {
    watched.began = began;
    watched.at_start = watched.before;
    watched.counts_at_start = watched.counts_before;
    for (Place& place : watched.places) place.reflectors.restart();
  }
  const auto cells = plan_.cells.find(watched.subject.name);
  if (cells == plan_.cells.end()) return {};
  if (watched.counts_at && now() - *watched.counts_at < kCountEvery) return {};
  auto counts = exact_->read(cells->second);
  if (!counts) return tl::unexpected(std::move(counts).error());
  watched.counts_before = std::move(*counts);
  watched.counts_at = now();
  return {};
}

/// What was counted of each, of a declared prefix; null otherwise.
json SynAckMonitor::victims(const Watched& watched, const AttackTables& tables) const {
  if (watched.counts_at_start.empty()) return nullptr;
  return exact_->victims(watched.subject.prefixes[0], plan_.cells.at(watched.subject.name),
                         watched.counts_at_start, tables, kRows);
}

void SynAckMonitor::review_book() {
  if (!book_.full()) return;
  std::map<uint16_t, double> lately;
  for (const auto& [name, watched] : watched_) {
    if (watched.lately > 0) lately.emplace(watched.number, watched.lately);
  }
  book_.review(lately, now());
}

json SynAckMonitor::evidence(const Watched& watched) {
  book_.hold(watched.number, now());
  const tfo_monitor_counters counters = since(watched.counters, watched.at_start);
  json out = {{"volume", volumes(counters)},
              {"reflectors",
               {{"lately", watched.reflectors(&Distinct::recent)},
                {"in_all", watched.reflectors(&Distinct::total)},
                {"error", kReflectorError}}}};
  if (watched.began) {
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(now() - *watched.began);
    out["volume"]["seconds"] = age.count() + 1;
  }
  if (watched.subject.each_address) out["addresses_hit"] = watched.addresses_hit;
  if (watched.subject.kind == TFO_TARGET_TRACKED) {
    out["tracking"] = {{"warm", is_warm(watched)},
                       {"proven", watched.proof.proven()},
                       {"answered", watched.proof.answered()},
                       {"blind", watched.proof.blind()},
                       {"unasked", counters.unasked},
                       {"false_match", load_.false_match()},
                       {"saturated", load_.saturated(TFO_BLOOM_MAIN)},
                       {"confidence", doubtful(watched) ? "low" : "high"}};
  }
  const AttackTables* tables = book_.find(watched.number);
  if (tables == nullptr) {
    out["filter"] = filter(watched.subject, json());
    return out;
  }
  out["top"] = tables->evidence(kRows);
  out["top"]["weight_now"] = weight_;
  out["filter"] = filter(watched.subject, out["top"]["source_ports"]);
  if (const json exact = victims(watched, *tables); !exact.is_null()) {
    out["top"].update(exact);
    for (const auto& [table, rows] : exact.items()) out["exact"].push_back(table);
  }
  return bounded(std::move(out));
}

}  // namespace tfo
