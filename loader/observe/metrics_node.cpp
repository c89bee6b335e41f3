// SPDX-License-Identifier: BSD-2-Clause
// The process, the programs and their maps.
#include "loader/observe/metric_family.h"

namespace tfo {
namespace {

using prometheus::MetricType;

template <class Number>
void add_one(Families& out, const char* name, const char* help, MetricType type,
             const std::optional<Number>& value) {
  if (!value) return;
  Family family(name, help, type);
  family.add({}, static_cast<double>(*value));
  out.push_back(family.take());
}

void add_process(const View& view, Families& out) {
  const ProcessView& process = view.process;
  add_one(out, "process_cpu_seconds_total", "User and system CPU time of tfod in seconds",
          MetricType::Counter, process.cpu_seconds);
  add_one(out, "process_resident_memory_bytes", "Resident memory of tfod", MetricType::Gauge,
          process.resident_bytes);
  add_one(out, "process_virtual_memory_bytes", "Virtual memory of tfod", MetricType::Gauge,
          process.virtual_bytes);
  add_one(out, "process_threads", "Threads of tfod", MetricType::Gauge, process.threads);
  add_one(out, "process_open_fds", "Open file descriptors of tfod", MetricType::Gauge,
          process.open_fds);
  add_one(out, "process_max_fds", "File descriptors that tfod may have open", MetricType::Gauge,
          process.max_fds);
  add_one(out, "process_start_time_seconds", "Unix time of the daemon's start", MetricType::Gauge,
          std::optional(view.started_at));
}

void add_build(const View& view, Families& out) {
  Family build("tfo_build_info", "What runs, and on which kernel", MetricType::Gauge);
  build.add({{"version", view.version},
             {"revision", view.revision},
             {"kernel", view.kernel},
             {"instance_name", view.instance}},
            1);
  out.push_back(build.take());
}

void add_programs(const View& view, Families& out) {
  Family info("tfo_program_info", "Where a program runs, and how", MetricType::Gauge);
  for (const InterfaceView& interface : view.interfaces) {
    info.add({{"ifname", interface.name},
              {"hook", "xdp"},
              {"xdp_mode", interface.mode},
              {"tag", interface.tag}},
             1);
    if (interface.egress_tag.empty()) continue;
    info.add({{"ifname", interface.name}, {"hook", "tc_egress"}, {"tag", interface.egress_tag}}, 1);
  }
  out.push_back(info.take());
  Family stats("tfo_bpf_stats_enabled", "1 while the kernel counts what BPF programs cost",
               MetricType::Gauge);
  stats.add({}, view.bpf_stats ? 1 : 0);
  out.push_back(stats.take());
  Family runs("tfo_program_runs_total",
              "Packets that a program was run for, while that was counted", MetricType::Counter);
  Family time("tfo_program_run_seconds_total", "Time spent in it", MetricType::Counter);
  for (const ProgramCostView& program : view.programs) {
    runs.add({{"program", program.program}}, static_cast<double>(program.runs));
    time.add({{"program", program.program}}, static_cast<double>(program.ns) / 1e9);
  }
  out.push_back(runs.take());
  out.push_back(time.take());
}

void add_maps(const View& view, Families& out) {
  Family capacity("tfo_map_capacity", "Entries that a map of the programs has room for",
                  MetricType::Gauge);
  Family entries("tfo_map_entries", "Entries that are in use, of maps whose owner knows it",
                 MetricType::Gauge);
  for (const MapView& map : view.maps) {
    capacity.add({{"map", map.map}}, static_cast<double>(map.capacity));
    if (map.entries) entries.add({{"map", map.map}}, static_cast<double>(*map.entries));
  }
  out.push_back(capacity.take());
  out.push_back(entries.take());
}

}  // namespace

void add_node(const View& view, Families& out) {
  add_build(view, out);
  add_process(view, out);
  if (view.interfaces.empty()) return;
  add_programs(view, out);
  add_maps(view, out);
}

}  // namespace tfo
