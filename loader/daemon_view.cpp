// SPDX-License-Identifier: BSD-2-Clause
// What is shown of a running daemon, and the pages that show it.
#include <sys/utsname.h>
#include <unistd.h>

#include "loader/ask_loop.h"
#include "loader/build_id.h"
#include "loader/daemon.h"
#include "loader/log.h"
#include "loader/observe/metrics.h"
#include "loader/observe/readiness.h"
#include "loader/observe/report.h"

namespace tfo {
namespace {

constexpr const char* kPlainText = "text/plain; charset=utf-8";
constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

std::string kernel_release() {
  utsname names{};
  return uname(&names) == 0 ? names.release : "unknown";
}

void show_configured(const Config& config, View& view) {
  for (const PoolConfig& pool : config.pools) {
    view.configured_pools.push_back({pool.name, store_word(pool.store)});
  }
  for (const VipConfig& vip : config.vips) view.configured_vips.push_back(vip_words(vip));
}

void show_dataplane(const Dataplane& dataplane, View& view) {
  view.adopted = dataplane.adopted();
  for (const InterfaceStatus& status : dataplane.interfaces()) {
    view.interfaces.push_back({status.name, status.ifindex, interface_state_name(status.state),
                               status.detail, status.egress, status.tracks, status.tag,
                               status.egress_tag});
  }
}

void show_cost(const Dataplane& dataplane, View& view) {
  for (const MapUse& use : dataplane.map_use()) {
    view.maps.push_back({use.map, use.capacity, use.entries});
  }
  view.bpf_stats = bpf_stats_enabled();
  if (!view.bpf_stats) return;
  for (const ProgramUse& use : dataplane.program_use()) {
    view.programs.push_back({use.program, use.cost.runs, use.cost.ns});
  }
}

}  // namespace

View Daemon::view(bool with_counters) {
  View view;
  const Moment now = clock_.now();
  view.version = TFO_VERSION;
  view.revision = kRevision;
  view.kernel = kernel_release();
  view.instance = config_.instance;
  view.pid = getpid();
  view.now = now.unix_s;
  view.started_at = started_at_;
  view.uptime_s = static_cast<double>(now.boot_s) - static_cast<double>(started_usec_) / 1e6;
  if (view.uptime_s < 0) view.uptime_s = 0;
  if (http_) view.http = http_->address();
  show_configured(config_, view);
  view.pools = pools_.view();
  view.namespaces = namespaces_.view();
  if (dataplane_) {
    show_dataplane(*dataplane_, view);
    view.guard = guard_.view();
    if (monitor_) view.monitor = monitor_->view();
  }
  if (with_counters) show_counters(view);
  view.conditions = conditions_.list();
  if (alerts_) view.alerts = alerts_->overview();
  return view;
}

void Daemon::show_counters(View& view) {
  view.process = read_process();
  if (!dataplane_) return;
  show_cost(*dataplane_, view);
  auto counters = dataplane_->counters();
  conditions_.set("dataplane_failed", "counters", !counters,
                  counters ? "" : counters.error().message);
  if (counters) view.counters = std::move(*counters);
}

std::optional<View> Daemon::ask_view(bool with_counters) {
  return ask_loop(*loop_, [this, with_counters] { return view(with_counters); });
}

void Daemon::start_http() {
  if (!http_) return;
  using Content = std::optional<HttpServer::Content>;
  const auto metrics = [this]() -> Content {
    const auto now = ask_view(true);
    return now ? Content(metrics_text(*now)) : std::nullopt;
  };
  const auto health = [this]() -> Content {
    return ask_view(false) ? Content("ok\n") : std::nullopt;
  };
  const auto ready = [this]() -> Content {
    const auto now = ask_view(false);
    if (!now) return std::nullopt;
    const std::string lacks = what_lacks(*now);
    return lacks.empty() ? Content("ready\n") : HttpServer::Content(lacks, 503);
  };
  std::vector<HttpServer::Route> routes = page_routes();
  routes.push_back({"/metrics", kMetricsType, metrics});
  routes.push_back({"/healthz", kPlainText, health});
  routes.push_back({"/readyz", kPlainText, ready});
  http_->start(routes);
  const bool has_path = !http_->address().starts_with('u');  // not that of a unix socket
  log_info("metrics at {}{}", http_->url(), has_path ? "/metrics" : "");
  log_info("status page at {}{}", http_->url(), has_path ? "/" : "");
  if (http_->is_open_to_others()) {
    log_warning(
        "http.listen {} has no \"tls\": everybody who reaches it may read metrics, status and "
        "clients' addresses",
        http_->address());
  }
}

}  // namespace tfo
