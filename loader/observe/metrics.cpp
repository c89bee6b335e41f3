// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/metrics.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <map>

#include "loader/guard/report.h"
#include "loader/observe/metric_family.h"
#include "loader/observe/reason_table.h"

namespace tfo {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

std::string text(std::string_view label) { return std::string(label); }

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

prometheus::ClientMetric::Histogram syn_to_ack(const tfo_guard_counters& counters) {
  prometheus::ClientMetric::Histogram histogram;
  for (unsigned i = 0; i < TFO_RTT_BUCKETS; ++i) {
    histogram.sample_count += counters.rtt[i];
    histogram.bucket.push_back({histogram.sample_count, rtt_bucket_seconds(i)});
  }
  histogram.sample_sum = ticks_seconds(counters.rtt_ticks);
  return histogram;
}

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
}

void add_program(const View& view, Families& out) {
  Family build("tfo_build_info", "The version that runs", MetricType::Gauge);
  build.add({{"version", view.version}, {"instance_name", view.instance}}, 1);
  out.push_back(build.take());
  Family start("process_start_time_seconds", "Unix time of the daemon's start", MetricType::Gauge);
  start.add({}, static_cast<double>(view.started_at));
  out.push_back(start.take());
  if (view.interfaces.empty()) return;
  Family program("tfo_program_info", "Where the XDP program runs, and how", MetricType::Gauge);
  for (const InterfaceView& interface : view.interfaces) {
    program.add({{"ifname", interface.name}, {"xdp_mode", interface.mode}}, 1);
  }
  out.push_back(program.take());
}

void add_conditions(const View& view, Families& out) {
  Family family("tfo_condition_active", "1 while a condition is raised", MetricType::Gauge);
  for (const ConditionKind& kind : condition_kinds()) {
    const bool active = std::any_of(view.conditions.begin(), view.conditions.end(),
                                    [&](const Condition& c) { return c.id == kind.id; });
    family.add({{"condition", text(kind.id)}}, active ? 1 : 0);
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
  for (Family* family : {&active, &crowded, &posts}) out.push_back(family->take());
}

void add_keys(const View& view, Families& out) {
  if (view.pools.empty()) return;
  Family generations("tfo_key_generations", "Keys of a pool by their place", MetricType::Gauge);
  Family age("tfo_key_age_seconds", "Age of the newest key at a place", MetricType::Gauge);
  Family end("tfo_key_not_after_timestamp_seconds",
             "Unix time from which the newest key at a place is accepted by nobody",
             MetricType::Gauge);
  Family state("tfo_rotation_state", "1 for the state that a pool's rotation is in",
               MetricType::Gauge);
  Family next("tfo_next_rotation_timestamp_seconds",
              "Unix time of the next rotation; absent: by command only", MetricType::Gauge);
  for (const PoolView& pool : view.pools) {
    std::map<std::string, int> count;
    std::map<std::string, const KeyView*> newest;
    for (const KeyView& key : pool.keys) {
      ++count[key.place];
      const KeyView*& best = newest[key.place];
      if (best == nullptr || key.created_at > best->created_at) best = &key;
    }
    for (const char* place : {"current", "previous", "staged", "retired", "revoked"}) {
      const MetricLabels labels = {{"pool", pool.name}, {"place", place}};
      generations.add(labels, count[place]);
      const KeyView* key = newest[place];
      if (key == nullptr) continue;
      age.add(labels, static_cast<double>(std::max<int64_t>(0, view.now - key->created_at)));
      if (key->not_after != 0) end.add(labels, static_cast<double>(key->not_after));
    }
    for (const char* name : {"steady", "prepare", "staged", "minting"}) {
      state.add({{"pool", pool.name}, {"state", name}}, pool.state == name ? 1 : 0);
    }
    if (pool.next_rotation) {
      next.add({{"pool", pool.name}}, static_cast<double>(*pool.next_rotation));
    }
  }
  for (Family* family : {&generations, &age, &end, &state, &next}) out.push_back(family->take());
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
  add_program(view, families);
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
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace tfo
