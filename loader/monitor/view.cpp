// SPDX-License-Identifier: BSD-2-Clause
#include "loader/monitor/view.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "loader/monitor/monitor.h"

namespace tfo {
namespace {

size_t place_of(tfo_target_kind kind) {
  return static_cast<size_t>(std::ranges::find(kMonitorKinds, kind) - kMonitorKinds.begin());
}

/// For so long a SYN says that a VIP opens connections.
constexpr std::chrono::seconds kOriginates{600};
constexpr double kKept = 0.9;  // each second

constexpr const char* kOpens =
    "SYNs leave from it, so only what comes beyond them counts: a VIP that opens connections says "
    "\"originates\": true, a prefix that does is not \"silent\"";

std::string_view readiness_word(MonitorReadiness readiness) {
  if (readiness == MonitorReadiness::kReady) return "ready";
  return readiness == MonitorReadiness::kNotWarm ? "not_warm" : "unproven";
}

}  // namespace

/// What answers no SYN can be told one by one, or only by how many more come than SYNs left: where
/// some leave elsewhere, where filters are so full that they find what was never there, and of a
/// VIP that opened connections of late though it was not said to.
bool SynAckMonitor::judges_excess(const Watched& watched) const {
  switch (watched.subject.kind) {
    case TFO_TARGET_VIP:
      return watched.syns_at && now() - *watched.syns_at < kOriginates;
    case TFO_TARGET_TRACKED:
      return load_.saturated(TFO_BLOOM_MAIN);
    case TFO_TARGET_ASYMMETRIC:
      return true;
  }
  return true;
}

/// A SYN explains one answer: a SYN-ACK, or the reset of a closed port.
void SynAckMonitor::see_answers(Watched& watched) const {
  const tfo_monitor_counters &seen = watched.counters, &parts = watched.of_parts;
  const uint64_t answers =
      seen.answered + seen.known + seen.blind + parts.answered + parts.known + parts.blind;
  const bool by_syn_acks = watched.subject.kind == TFO_TARGET_ASYMMETRIC;
  const uint64_t resets = by_syn_acks ? 0 : seen.resets;
  const uint64_t came = tfo::unsolicited(seen).packets + answers + resets;
  watched.excess.see(now(), came, seen.syns_out);
  watched.explained.see(now(), answers, seen.syns_out);
  if (seen.syns_out > watched.before.syns_out) watched.syns_at = now();
}

void SynAckMonitor::add_up(Watched& watched) {
  const tfo_monitor_counters &now = watched.counters, &before = watched.before;
  const uint64_t excess = watched.excess.total();
  const uint64_t more = excess - std::exchange(watched.last_excess, excess);
  const uint64_t came = came_since(now, before);
  watched.step = {.came = came,
                  .bytes = grown(tfo::unsolicited(now).bytes, tfo::unsolicited(before).bytes),
                  .judged = judges_excess(watched) ? more : came};
  watched.count += watched.step.judged;
  // What the first look finds is of any age.
  const bool first = watched.sketched == UINT64_MAX;
  watched.lately = first ? 0 : watched.lately * kKept + static_cast<double>(came);
  MonitorKind& kind = totals_.kinds.at(place_of(watched.subject.kind));
  for (size_t option = 0; option < 2; option++) {
    for (size_t payload = 0; payload < 2; payload++) {
      const tfo_tally& last = before.unsolicited[option][payload];
      const tfo_tally& next = now.unsolicited[option][payload];
      kind.unsolicited[option][payload].packets += grown(next.packets, last.packets);
      kind.unsolicited[option][payload].bytes += grown(next.bytes, last.bytes);
    }
  }
  kind.resets += grown(now.resets, before.resets);
  kind.answered += grown(now.answered, before.answered);
  totals_.samples += grown(now.samples, before.samples);
  totals_.samples_lost += grown(now.samples_lost, before.samples_lost);
}

MonitorView SynAckMonitor::view() const {
  MonitorView view{.subjects = {}, .totals = totals_};
  for (const auto& [name, watched] : watched_) {
    MonitorReading judged;
    if (watched.subject.kind == TFO_TARGET_TRACKED) judge_tracking(watched, judged);
    if (watched.subject.kind == TFO_TARGET_VIP && judges_excess(watched)) judged.why = kOpens;
    const tfo_tally sum = tfo::unsolicited(watched.counters);
    const uint64_t lately = watched.reflectors(&Distinct::recent);
    view.subjects.push_back({.name = name,
                             .kind = watched.subject.kind,
                             .each_address = watched.subject.each_address,
                             .readiness = std::string(readiness_word(judged.readiness)),
                             .why = judged.why,
                             .unsolicited = sum.packets,
                             .bytes = sum.bytes,
                             .resets = watched.counters.resets,
                             .answered = watched.counters.answered,
                             .syns_out = watched.counters.syns_out,
                             .reflectors = lately});
    MonitorKind& kind = view.totals.kinds.at(place_of(watched.subject.kind));
    kind.reflectors = std::max(kind.reflectors, lately);
    view.tracks = view.tracks || watched.subject.kind == TFO_TARGET_TRACKED;
  }
  view.false_match = load_.false_match();
  view.saturated_main = load_.saturated(TFO_BLOOM_MAIN);
  view.saturated_heavy = load_.saturated(TFO_BLOOM_HEAVY);
  return view;
}

}  // namespace tfo
