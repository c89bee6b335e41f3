// SPDX-License-Identifier: BSD-2-Clause
// SYNs that leave: how many, and whose they are.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "loader/monitor/monitor.h"

namespace tfo {
namespace {

using nlohmann::json;
using NamedRow = std::pair<uint64_t, std::string>;

constexpr size_t kFloodRows = 10;

json heaviest(std::vector<NamedRow> rows, const char* name, const char* count) {
  std::ranges::sort(rows, std::greater<>());
  rows.resize(std::min(rows.size(), kFloodRows));
  json out = json::array();
  for (const auto& [number, text] : rows) out.push_back({{name, text}, {count, number}});
  return out;
}

}  // namespace

MonitorReading SynAckMonitor::flood_reading() const {
  MonitorReading out;
  out.rule = "outgoing_syn_flood";
  out.subject = "node";
  for (const auto& [name, watched] : watched_) {
    if (watched.subject.kind != TFO_TARGET_TRACKED) continue;
    // A tracked prefix counts the SYNs of those in it, too.
    for (const Place& place : watched.places) {
      const bool twice = !place.where.around.empty() &&
                         watched_.at(place.where.around).subject.kind == TFO_TARGET_TRACKED;
      if (!twice) out.count += place.counters.syns_out;
    }
  }
  out.saturated = load_.saturated(TFO_BLOOM_MAIN) || load_.saturated(TFO_BLOOM_HEAVY);
  out.evidence = [this] { return flood_evidence(); };
  return out;
}

json SynAckMonitor::flood_evidence() const {
  std::vector<NamedRow> subjects;
  for (const auto& [name, watched] : watched_) {
    if (watched.counters.syns_out > 0) subjects.emplace_back(watched.counters.syns_out, name);
  }
  std::vector<NamedRow> sources;
  sources.reserve(heavy_sources_.size());
  for (const HeavySource& one : heavy_sources_) {
    sources.emplace_back(one.syns, address_text(one.address));
  }
  return {
      {"sources", heaviest(std::move(sources), "address", "syns_at_least")},
      {"sources_in_all", heavy_sources_.size()},
      {"subjects", heaviest(std::move(subjects), "subject", "syns_out")},
      {"false_match", load_.false_match()},
      {"saturated",
       {{"main", load_.saturated(TFO_BLOOM_MAIN)}, {"heavy", load_.saturated(TFO_BLOOM_HEAVY)}}}};
}

}  // namespace tfo
