// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/metrics.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "loader/alert/rule.h"
#include "loader/observe/metric_family.h"
#include "loader/observe/metric_text.h"
#include "loader/observe/reason_table.h"

namespace tfo {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

void add_cells(Family& family, const std::string& vip, const Counters& counters,
               const std::vector<Cell>& cells) {
  Counters rest = counters;
  const auto add = [&](const Cell& cell) {
    __u64& count = rest.cell[cell.reason][cell.option][cell.data];
    family.add({{"vip", vip},
                {"reason", text(reason_label(cell.reason))},
                {"option", text(option_label(cell.option))},
                {"data", std::to_string(cell.data)}},
               static_cast<double>(count));
    count = 0;
  };
  for (const Cell& cell : cells) add(cell);
  // What "cannot occur" and was counted all the same must not be hidden.
  for (unsigned reason = 0; reason < TFO_REASON_COUNT; ++reason) {
    for (unsigned option = 0; option < TFO_OPTION_KINDS; ++option) {
      for (unsigned data = 0; data < 2; ++data) {
        if (rest.cell[reason][option][data] != 0) add({reason, option, data});
      }
    }
  }
}

void add_packets(const View& view, Families& out) {
  if (view.interfaces.empty()) return;
  Family packets("tfo_packets_total",
                 "Packets by reason; vip is empty for those that belong to no VIP",
                 MetricType::Counter);
  Family actions("tfo_actions_total", "Packets by what was done with them", MetricType::Counter);
  Family would("tfo_would_actions_total", "Packets by what enforcing would have done with them",
               MetricType::Counter);
  const auto add_actions = [&](const std::string& vip, const Counters& counters) {
    for (unsigned action = 0; action < TFO_ACTION_COUNT; ++action) {
      const MetricLabels labels = {{"vip", vip}, {"action", text(action_label(action))}};
      actions.add(labels, static_cast<double>(counters.action[action]));
      would.add(labels, static_cast<double>(counters.would[action]));
    }
  };
  add_cells(packets, "", view.counters.node, node_cells());
  add_actions("", view.counters.node);
  for (const VipCounters& vip : view.counters.vips) {
    add_cells(packets, vip.name, vip.counters, vip_cells());
    add_actions(vip.name, vip.counters);
  }
  out.push_back(packets.take());
  out.push_back(actions.take());
  out.push_back(would.take());
}

void add_conditions(const View& view, Families& out) {
  Family family("tfo_condition_active", "1 while a condition is raised", MetricType::Gauge);
  for (const ConditionKind& kind : condition_kinds()) {
    const bool active = std::any_of(view.conditions.begin(), view.conditions.end(),
                                    [&](const Condition& c) { return c.id == kind.id; });
    family.add({{"condition", text(kind.id)}, {"severity", text(to_string(kind.severity))}},
               active ? 1 : 0);
  }
  out.push_back(family.take());
}

void add_alerts(const View& view, Families& out) {
  Family active("tfo_alert_active", "Alerts that are raised", MetricType::Gauge);
  Family crowded("tfo_alerts_crowded_out", "Alerts for which there is no room", MetricType::Gauge);
  Family posts("tfo_alertmanager_posts_total", "Posts to each Alertmanager", MetricType::Counter);
  for (const alert::Count& one : view.alerts.counts) {
    active.add({{"rule", text(one.rule)}, {"severity", text(to_string(one.severity))}},
               static_cast<double>(one.raised));
  }
  for (const Severity severity : alert::kAllSeverities) {
    crowded.add({{"severity", text(to_string(severity))}},
                static_cast<double>(view.alerts.crowded_out.at(static_cast<size_t>(severity))));
  }
  for (const alert::PeerStatus& peer : view.alerts.peers) {
    posts.add({{"peer", peer.url}, {"result", "taken"}}, static_cast<double>(peer.posts));
    posts.add({{"peer", peer.url}, {"result", "failed"}}, static_cast<double>(peer.failures));
  }
  Family kinds("tfo_alertmanager_kind", "1 for a kind of alert that is posted to Alertmanager",
               MetricType::Gauge);
  for (const std::string_view kind : alert::rule_kinds()) {
    if (view.alerts.peers.empty()) break;
    const bool posted = std::ranges::find(view.alerts.posted, kind) != view.alerts.posted.end();
    kinds.add({{"kind", text(kind)}}, posted ? 1 : 0);
  }
  for (Family* family : {&active, &crowded, &posts, &kinds}) out.push_back(family->take());
}

/// Listeners of one port, added up.
struct Port {
  double backlog = 0;
  double accept_queue = 0;
  double limit = 0;
  double pending = 0;
  bool seen = true;  // is the Fast Open queue of all of them known?
};

/// By port; those past kMostPorts together as "other", so that a host with thousands of listeners
/// makes no thousands of series.
std::map<std::string, Port> ports_of(const ListenerReport& report) {
  constexpr size_t kMostPorts = 32;
  std::map<std::string, Port> ports;
  for (const Listener& one : report.listeners) {  // by port: the same ones at every scrape
    if (!one.may_fast_open()) continue;
    const std::string own = std::to_string(one.port);
    Port& port = ports[ports.contains(own) || ports.size() < kMostPorts ? own : "other"];
    port.backlog += one.backlog;
    port.accept_queue += one.accept_queue;
    port.seen = port.seen && one.fast_open;
    if (!one.fast_open) continue;
    port.limit += one.fast_open->limit;
    port.pending += one.fast_open->pending;
  }
  return ports;
}

void add_listeners(const View& view, Families& out) {
  Family backlog("tfo_listener_backlog", "Backlog of the listeners of a port that may do Fast Open",
                 MetricType::Gauge);
  Family queue("tfo_listener_accept_queue", "Connections that wait for accept()",
               MetricType::Gauge);
  Family limit("tfo_listener_fastopen_limit",
               "Pending Fast Open connections that the listeners of a port take",
               MetricType::Gauge);
  Family pending("tfo_listener_fastopen_pending",
                 "Fast Open connections before the end of their handshake", MetricType::Gauge);
  for (const NamespaceView& ns : view.namespaces) {
    for (const auto& [name, port] : ports_of(ns.listeners)) {
      const MetricLabels labels = {{"netns", ns.name}, {"port", name}};
      backlog.add(labels, port.backlog);
      queue.add(labels, port.accept_queue);
      if (!port.seen) continue;
      limit.add(labels, port.limit);
      pending.add(labels, port.pending);
    }
  }
  for (Family* family : {&backlog, &queue, &limit, &pending}) out.push_back(family->take());
}

void add_servers(const View& view, Families& out) {
  Family on("tfo_server_enabled", "1 while tcp_fastopen has the server bit (0x2)",
            MetricType::Gauge);
  Family bits("tfo_server_bit_repairs_total",
              "Times that somebody changed the server bit and it was put back",
              MetricType::Counter);
  Family keys("tfo_key_repairs_total",
              "Times that somebody changed a server's keys and they were written again",
              MetricType::Counter);
  for (const NamespaceView& ns : view.namespaces) {
    on.add({{"netns", ns.name}}, (ns.listeners.fastopen_bits & 2) != 0 ? 1 : 0);
    bits.add({{"netns", ns.name}}, static_cast<double>(ns.server_bit_repairs));
  }
  for (const PoolView& pool : view.pools) {
    for (const auto& [sink, count] : pool.repairs) {
      keys.add({{"pool", pool.name}, {"sink", sink}}, static_cast<double>(count));
    }
  }
  for (Family* family : {&on, &bits, &keys}) out.push_back(family->take());
  add_listeners(view, out);
}

void add_kernel(const View& view, Families& out) {
  if (view.namespaces.empty()) return;
  for (size_t i = 0; i < kKernelCounters; ++i) {
    const KernelCounter& counter = kKernelCounterTable[i];
    Family family("tfo_kernel_" + text(counter.metric) + "_total",
                  text(counter.sentence) + " (TcpExt " + text(counter.name) + ")",
                  MetricType::Counter);
    for (const NamespaceView& ns : view.namespaces) {
      const std::optional<uint64_t> count = ns.mib ? (*ns.mib)[i] : std::nullopt;
      if (count) family.add({{"netns", ns.name}}, static_cast<double>(*count));
    }
    MetricFamily made = family.take();
    if (!made.metric.empty()) out.push_back(std::move(made));
  }
}

}  // namespace

std::string metrics_text(const View& view) {
  Families families;
  add_node(view, families);
  add_packets(view, families);
  add_guard(view, families);
  add_monitor(view, families);
  add_conditions(view, families);
  add_alerts(view, families);
  add_keys(view, families);
  add_kernel(view, families);
  add_servers(view, families);
  families.erase(std::remove_if(families.begin(), families.end(),
                                [](const MetricFamily& f) { return f.metric.empty(); }),
                 families.end());
  return metric_text(families);
}

}  // namespace tfo
