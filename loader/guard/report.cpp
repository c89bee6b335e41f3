// SPDX-License-Identifier: BSD-2-Clause
#include "loader/guard/report.h"

#include <limits>

namespace tfo {
namespace {

using nlohmann::json;

constexpr std::string_view kLabels[] = {
#define TFO_OUTCOME_LABEL(id, name, label, sentence) label,
    TFO_OUTCOMES(TFO_OUTCOME_LABEL)
#undef TFO_OUTCOME_LABEL
};
constexpr std::string_view kSentences[] = {
#define TFO_OUTCOME_SENTENCE(id, name, label, sentence) sentence,
    TFO_OUTCOMES(TFO_OUTCOME_SENTENCE)
#undef TFO_OUTCOME_SENTENCE
};

json known(unsigned limit) { return limit == 0 ? json(nullptr) : json(limit); }

json text_or_null(const std::string& text) { return text.empty() ? json(nullptr) : json(text); }

}  // namespace

std::string_view outcome_label(unsigned outcome) { return kLabels[outcome]; }

std::string_view outcome_sentence(unsigned outcome) { return kSentences[outcome]; }

double ticks_seconds(uint64_t ticks) {
  // One division: the result is the number nearest to the true one, and prints as short.
  return static_cast<double>(ticks) * static_cast<double>(1U << TFO_TICK_SHIFT) / 1e9;
}

double rtt_bucket_seconds(unsigned bucket) {
  if (bucket + 1 >= TFO_RTT_BUCKETS) return std::numeric_limits<double>::infinity();
  return ticks_seconds(uint64_t{8} << bucket);
}

json guard_vip_json(const GuardVipView& vip) {
  return {{"vip", vip.vip},
          {"state", vip.state()},
          {"address_limit", known(vip.address_limit)},
          {"limit", known(vip.limit)},
          {"site_limit", known(vip.site_limit)},
          {"vip_limit", known(vip.vip_limit)},
          {"load", vip.load},
          {"guarded", vip.guarded},
          {"forgotten", vip.forgotten},
          {"untracked", vip.untracked},
          {"blind", vip.blind},
          {"evaded", vip.evaded},
          {"exact", vip.exact}};
}

json guard_change_json(const GuardChange& change) {
  return {{"at", change.at},
          {"event", change.event},
          {"network", network_text(change.network)},
          {"vip", text_or_null(change.vip)},
          {"level", text_or_null(change.level)},
          {"load", known(change.load)},
          {"limit", known(change.limit)}};
}

json outcomes_json(const tfo_guard_counters& counters) {
  json out = json::object();
  for (unsigned i = 0; i < TFO_OUTCOME_COUNT; ++i) {
    out[std::string(kLabels[i])] = static_cast<uint64_t>(counters.outcome[i]);
  }
  return out;
}

json syn_to_ack_json(const tfo_guard_counters& counters) {
  json buckets = json::array();
  for (unsigned i = 0; i < TFO_RTT_BUCKETS; ++i) {
    const bool last = i + 1 == TFO_RTT_BUCKETS;
    buckets.push_back({{"below_ms", last ? json(nullptr) : json(rtt_bucket_seconds(i) * 1000)},
                       {"count", static_cast<uint64_t>(counters.rtt[i])}});
  }
  return {{"buckets", buckets}, {"sum_ms", ticks_seconds(counters.rtt_ticks) * 1000}};
}

json guard_counts_json(const tfo_guard_counters& counters) {
  json over = json::object();
  for (unsigned level = 0; level < TFO_LEVELS; ++level) {
    over[std::string(level_label(level))] = static_cast<uint64_t>(counters.over[level]);
  }
  return {{"over", over},
          {"duplicate", static_cast<uint64_t>(counters.answer[TFO_GUARD_DUPLICATE])},
          {"denied", static_cast<uint64_t>(counters.answer[TFO_GUARD_DENIED])},
          {"held", static_cast<uint64_t>(counters.held)},
          {"spared", static_cast<uint64_t>(counters.spared)},
          {"events_lost", static_cast<uint64_t>(counters.events_lost)}};
}

}  // namespace tfo
