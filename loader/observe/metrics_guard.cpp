// SPDX-License-Identifier: BSD-2-Clause
// The guard's metrics.
#include <limits>

#include "loader/guard/report.h"
#include "loader/observe/metric_family.h"

namespace tfo {
namespace {

using prometheus::MetricType;

prometheus::ClientMetric::Histogram syn_to_ack(const tfo_guard_counters& counters) {
  prometheus::ClientMetric::Histogram histogram;
  for (unsigned i = 0; i < TFO_RTT_BUCKETS; ++i) {
    histogram.sample_count += counters.rtt[i];
    histogram.bucket.push_back({histogram.sample_count, rtt_bucket_seconds(i)});
  }
  histogram.sample_sum = ticks_seconds(counters.rtt_ticks);
  return histogram;
}

/// Scopes in the order of their limits in a GuardVipView.
void add_limits(Family& limits, const GuardVipView& vip) {
  const std::pair<const char*, unsigned> all[] = {{"address", vip.address_limit},
                                                  {"prefix", vip.limit},
                                                  {"site", vip.site_limit},
                                                  {"vip", vip.vip_limit}};
  for (const auto& [scope, limit] : all) {
    limits.add({{"vip", vip.vip}, {"scope", scope}},
               limit == 0 ? std::numeric_limits<double>::infinity() : limit);
  }
}

/// Each VIP is in one of these states; the first that holds.
std::string_view state_of(const GuardVipView& vip) {
  if (!vip.on) return "off";
  if (vip.state() != "on") return "qlen_unknown";
  if (vip.evaded) return "evaded";
  return vip.blind ? "blind" : "on";
}

void add_states(const View& view, Families& out) {
  Family limits("tfo_guard_limit",
                "Handshakes that one client address, network (/24 or /64: prefix), site (/48) or "
                "all clients of a VIP may hold open; +Inf: no limit",
                MetricType::Gauge);
  Family states("tfo_guard_state", "1 for the state that a VIP's guard is in", MetricType::Gauge);
  Family exact("tfo_guard_exact", "1 while the guard believes only ACKs of SYN-ACKs that it saw",
               MetricType::Gauge);
  for (const GuardVipView& vip : view.guard) {
    add_limits(limits, vip);
    for (const char* state : {"on", "blind", "evaded", "qlen_unknown", "off"}) {
      states.add({{"vip", vip.vip}, {"state", state}}, state_of(vip) == state ? 1 : 0);
    }
    exact.add({{"vip", vip.vip}}, vip.exact ? 1 : 0);
  }
  for (Family* family : {&limits, &states, &exact}) out.push_back(family->take());
}

}  // namespace

void add_guard(const View& view, Families& out) {
  if (view.interfaces.empty()) return;
  Family handshakes("tfo_handshakes_total",
                    "Handshakes that a valid cookie opened, by how they came out",
                    MetricType::Counter);
  Family times("tfo_syn_to_ack_seconds", "Time from such a SYN to the client's ACK",
               MetricType::Histogram);
  Family answers("tfo_guard_syns_total", "SYNs with a valid cookie that the guard did not like",
                 MetricType::Counter);
  Family lost("tfo_guard_events_lost_total", "Events of the guard that found no place",
              MetricType::Counter);
  Family spared("tfo_guard_spared_total",
                "SYNs that the guard refused and the policy let through: signed, or the servers "
                "take data without a cookie",
                MetricType::Counter);
  Family guarded("tfo_guarded_networks", "Client networks over their limit", MetricType::Gauge);
  Family load("tfo_guard_load", "Handshakes that all clients of a VIP hold open",
              MetricType::Gauge);
  for (const VipCounters& vip : view.counters.vips) {
    for (unsigned i = 0; i < TFO_OUTCOME_COUNT; ++i) {
      handshakes.add({{"vip", vip.name}, {"outcome", text(outcome_label(i))}},
                     static_cast<double>(vip.guard.outcome[i]));
    }
    times.add_histogram({{"vip", vip.name}}, syn_to_ack(vip.guard));
    const std::pair<const char*, uint64_t> counts[] = {
        {"over", vip.guard.answer[TFO_GUARD_OVER]},
        {"duplicate", vip.guard.answer[TFO_GUARD_DUPLICATE]},
        {"denied", vip.guard.answer[TFO_GUARD_DENIED]},
        {"held", vip.guard.held}};
    for (const auto& [answer, count] : counts) {
      answers.add({{"vip", vip.name}, {"answer", answer}}, static_cast<double>(count));
    }
    lost.add({{"vip", vip.name}}, static_cast<double>(vip.guard.events_lost));
    spared.add({{"vip", vip.name}}, static_cast<double>(vip.guard.spared));
  }
  for (const GuardVipView& vip : view.guard) {
    guarded.add({{"vip", vip.vip}}, static_cast<double>(vip.guarded));
    load.add({{"vip", vip.vip}}, vip.load);
  }
  for (Family* family : {&handshakes, &times, &answers, &lost, &spared, &guarded, &load}) {
    out.push_back(family->take());
  }
  add_states(view, out);
}

}  // namespace tfo
