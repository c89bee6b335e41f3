// SPDX-License-Identifier: BSD-2-Clause
// The SYN-ACK monitor's metrics. Series are by kind of destination, and by declared prefix where
// Prometheus has to add up several nodes; who was hit stands in the alerts.
#include <algorithm>

#include "loader/observe/metric_family.h"

namespace tfo {
namespace {

using prometheus::MetricType;

void add_kinds(const MonitorView& monitor, Families& out) {
  Family packets("tfo_unsolicited_synack_packets_total",
                 "SYN-ACKs that answer no SYN (asymmetric: all), by kind of destination",
                 MetricType::Counter);
  Family bytes("tfo_unsolicited_synack_bytes_total", "Bytes of IP of those", MetricType::Counter);
  Family resets("tfo_unsolicited_resets_total",
                "Resets of closed ports that answer no SYN, by kind of destination",
                MetricType::Counter);
  Family reflectors("tfo_unsolicited_synack_reflectors",
                    "Distinct sources of them, of the destination that has most, lately (estimate)",
                    MetricType::Gauge);
  for (size_t i = 0; i < kMonitorKinds.size(); i++) {
    const MonitorKind& kind = monitor.totals.kinds.at(i);
    const std::string label(monitor_kind_label(kMonitorKinds.at(i)));
    for (size_t option = 0; option < 2; option++) {
      for (size_t payload = 0; payload < 2; payload++) {
        const MetricLabels labels = {{"destination", label},
                                     {"tfo", std::to_string(option)},
                                     {"payload", std::to_string(payload)}};
        const tfo_tally& tally = kind.unsolicited[option][payload];
        packets.add(labels, static_cast<double>(tally.packets));
        bytes.add(labels, static_cast<double>(tally.bytes));
      }
    }
    resets.add({{"destination", label}}, static_cast<double>(kind.resets));
    reflectors.add({{"destination", label}}, static_cast<double>(kind.reflectors));
  }
  for (Family* family : {&packets, &bytes, &resets, &reflectors}) out.push_back(family->take());
}

void add_prefixes(const MonitorView& monitor, Families& out) {
  Family in("tfo_prefix_synacks_total", "SYN-ACKs to an asymmetric prefix", MetricType::Counter);
  Family syns("tfo_prefix_syns_out_total", "SYNs that left an asymmetric prefix here",
              MetricType::Counter);
  for (const MonitorSubjectView& one : monitor.subjects) {
    if (one.kind != TFO_TARGET_ASYMMETRIC) continue;
    in.add({{"prefix", one.name}}, static_cast<double>(one.unsolicited));
    syns.add({{"prefix", one.name}}, static_cast<double>(one.syns_out));
  }
  out.push_back(in.take());
  out.push_back(syns.take());
}

}  // namespace

void add_monitor(const View& view, Families& out) {
  if (!view.monitor) return;
  const MonitorView& monitor = *view.monitor;
  add_kinds(monitor, out);
  add_prefixes(monitor, out);
  Family warm("tfo_monitor_warm", "1 if the monitor knows all SYNs that may still be answered",
              MetricType::Gauge);
  const bool cold = std::ranges::find(monitor.subjects, "not_warm",
                                      &MonitorSubjectView::readiness) != monitor.subjects.end();
  warm.add({}, cold ? 0 : 1);
  Family miss("tfo_monitor_false_match_ratio",
              "Share of the SYN-ACKs without a SYN that are taken for answers", MetricType::Gauge);
  if (monitor.tracks) miss.add({}, monitor.false_match);
  Family lost("tfo_events_lost_total", "Samples of the monitor that found no place",
              MetricType::Counter);
  lost.add({}, static_cast<double>(monitor.totals.samples_lost));
  for (Family* family : {&warm, &miss, &lost}) out.push_back(family->take());
}

}  // namespace tfo
