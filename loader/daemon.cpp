// SPDX-License-Identifier: BSD-2-Clause
#include "loader/daemon.h"

#include <systemd/sd-daemon.h>

#include <chrono>
#include <csignal>
#include <ctime>

#include "loader/log.h"
#include "loader/monitor/watchlist.h"
#include "loader/privileges.h"

namespace tfo {
namespace {

uint64_t boot_usec() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

size_t vip_rows(const Config& config) {
  size_t rows = 0;
  for (const VipConfig& vip : config.vips) {
    rows += vip.addresses.size() * std::max<size_t>(1, vip.ports.size());
  }
  return rows;
}

}  // namespace

Daemon::Daemon(Config config, std::string config_file, const Clock& clock)
    : config_(std::move(config)),
      config_file_(std::move(config_file)),
      clock_(clock),
      started_at_(clock_.now().unix_s),
      started_usec_(boot_usec()),
      reminded_at_(clock_.now().boot_s),
      conditions_([this] { return clock_.now().unix_s; }, condition_changed),
      namespaces_(conditions_),
      before_(config_.servers_file(), clock_.now().boot_id),
      guard_(conditions_, clock_),
      pools_(clock_, [this](const KeyCondition& condition) { key_condition(condition); }) {}

Daemon::~Daemon() {
  // Its threads post into the loop, so they end first; then the pools, whose sinks use the data
  // plane.
  http_.reset();
}

Result<std::unique_ptr<Daemon>> Daemon::start(Config config, std::string config_file,
                                              const Clock& clock) {
  if (auto able = check_capabilities(config); !able) return tl::unexpected(able.error());
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(config), std::move(config_file), clock));
  if (auto opened = daemon->open_doors(); !opened) return tl::unexpected(opened.error());
  auto files = daemon->namespaces_.open(daemon->config_);
  if (!files) return tl::unexpected(files.error());
  if (auto able = daemon->check_demote(daemon->config_, *files); !able) {
    return tl::unexpected(able.error());
  }
  auto plan = daemon->pools_.prepare(daemon->config_, *files, kFirstKeys);
  if (!plan) return tl::unexpected(plan.error());
  daemon->namespaces_.use(daemon->config_, std::move(*files));
  auto opened = daemon->open_dataplane(*plan);
  if (opened) opened = daemon->open_events();
  if (opened) opened = drop_privileges();
  if (!opened) {
    // Maps that were taken over may hold the new keys already, and outlive this start.
    const std::optional<Dataplane>& dataplane = daemon->dataplane_;
    if (!dataplane || !dataplane->adopted()) plan->abandon();
    return tl::unexpected(opened.error());
  }
  daemon->remember_servers(
      daemon->config_, daemon->namespaces_.files(),
      [&](const std::string& pool) { return daemon->pools_.ring(*plan, pool); });
  daemon->open_for_business(std::move(*plan));
  return daemon;
}

Result<> Daemon::open_doors() {
  auto loop = EventLoop::create();
  if (!loop) return tl::unexpected(loop.error());
  loop_ = std::move(*loop);
  pools_.use_loop(*loop_);
  auto control = ControlServer::open(
      *loop_, config_.socket,
      [this](const std::string& name, nlohmann::json& request) { return command(name, request); });
  if (!control) return tl::unexpected(control.error());
  control_ = std::move(*control);
  if (!config_.http) return {};
  auto http = HttpServer::open(*config_.http);
  if (!http) return tl::unexpected(http.error());
  http_ = std::move(*http);
  return {};
}

Result<> Daemon::open_dataplane(const PoolSet::Plan& plan) {
  if (config_.interfaces.empty()) return {};
  auto opened = Dataplane::open({.pin_directory = config_.pin_directory(),
                                 .vips = config_.vips.size(),
                                 .vip_rows = vip_rows(config_),
                                 .handshakes = config_.handshakes,
                                 .monitor = watchlist_of(config_).room(),
                                 .boot_offset_ns = [this] { return clock_.boot_offset_ns(); },
                                 .checkpoint = {}});
  if (!opened) return tl::unexpected(opened.error());
  dataplane_.emplace(std::move(*opened));
  if (auto set = set_vips(*dataplane_, config_, &plan); !set) return set;
  return dataplane_->set_interfaces(config_.interfaces);
}

Result<> Daemon::open_events() {
  auto hangup = loop_->signal(SIGHUP, [this] { reload(); });
  auto terminate = loop_->signal(SIGTERM, [this] { stop("SIGTERM"); });
  auto interrupt = loop_->signal(SIGINT, [this] { stop("SIGINT"); });
  auto timer = loop_->timer([this] { housekeeping(); });
  auto alert_timer = loop_->timer([this] { tick_alerts(); });
  auto farewell = loop_->timer([this] { loop_->quit(0); });
  for (auto* source : {&hangup, &terminate, &interrupt, &timer, &alert_timer, &farewell}) {
    if (!*source) return tl::unexpected(source->error());
  }
  hangup_ = std::move(*hangup);
  terminate_ = std::move(*terminate);
  interrupt_ = std::move(*interrupt);
  timer_ = std::move(*timer);
  alert_timer_ = std::move(*alert_timer);
  farewell_ = std::move(*farewell);
  auto steps = ClockWatch::open(*loop_, clock_, [this] { clock_stepped(); });
  if (!steps) return tl::unexpected(steps.error());
  steps_ = std::move(*steps);
  auto links = LinkWatch::open(*loop_, [this] {
    links_changed();
    review_monitor();
  });
  if (!links) return tl::unexpected(links.error());
  links_ = std::move(*links);
  return {};
}

/// Nothing fails from here on: what can go wrong now is a condition.
void Daemon::open_for_business(PoolSet::Plan plan) {
  if (dataplane_) dataplane_->keep();
  pools_.commit(std::move(plan), dataplane_ ? &*dataplane_ : nullptr);
  watch_stores();
  if (dataplane_) {
    log_info("{} the data plane in {}", dataplane_->adopted() ? "took over" : "created",
             config_.pin_directory());
  }
  show_interfaces();
  review_monitor();
  open_alerts();
  start_http();
  loop_->enable_watchdog();
  housekeeping();
}

int Daemon::run() {
  sd_notifyf(0, "READY=1\nSTATUS=%zu interfaces, %zu VIPs, %zu key pools",
             config_.interfaces.size(), config_.vips.size(), config_.pools.size());
  log_info("tfod {} ready", TFO_VERSION);
  return loop_->run();
}

}  // namespace tfo
