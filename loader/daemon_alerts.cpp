// SPDX-License-Identifier: BSD-2-Clause
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <vector>

#include "loader/daemon.h"
#include "loader/log.h"

namespace tfo {
namespace {

constexpr int64_t kMillisecond = 1'000'000;  // ns
constexpr int64_t kSecond = 1'000'000'000;   // ns
constexpr std::chrono::seconds kTick{1};
/// All counters of all CPUs are read at each tick: of so many VIPs less often.
constexpr size_t kManyVips = 1024;
constexpr std::chrono::seconds kManyTick{5};

/// What tells this node's alerts from another's.
std::string node_name(const Config& config) {
  std::array<char, 256> host{};
  std::string name = config.farm ? config.farm->node : "";
  if (name.empty() && gethostname(host.data(), host.size() - 1) == 0) name = host.data();
  return config.instance == "default" ? name : name + "/" + config.instance;
}

}  // namespace

void Daemon::open_alerts() {
  alerts_ = std::make_unique<alert::Keeper>(*loop_, node_name(config_), config_.alerts_file(),
                                            started_at_);
  configure_alerts();
  if (auto restored = alerts_->restore(); !restored) {
    log_warning("{}; alerts begin anew", restored.error().message);
  }
  alert_timer_.start(kTick);
}

void Daemon::configure_alerts() {
  if (!alerts_) return;
  if (auto done = alerts_->configure(config_.alerts); !done) {
    log_error("{}", done.error().message);
  }
}

void Daemon::tick_alerts() {
  alert_timer_.start(config_.vips.size() > kManyVips ? kManyTick : kTick);
  const Moment now = clock_.now();
  const int64_t steady_ns = now.unix_s * kSecond + now.unix_ns - clock_.boot_offset_ns();
  const View seen = view(true);
  history_.add(seen);
  alert::Input input = alert_feeder_.read(seen, config_, now.boot_s);
  std::vector<alert::Sample> attacks = read_monitor();
  effects_.see(now.boot_s, seen.namespaces);
  alert::add_surroundings(attacks, seen, effects_);
  std::ranges::move(attacks, std::back_inserter(input.samples));
  alerts_->tick({.steady_ms = steady_ns / kMillisecond, .unix_s = now.unix_s}, input.samples,
                input.states);
  keep_monitor_alarm();
  show_alert_troubles();
}

void Daemon::show_alert_troubles() {
  conditions_.set("alerts_unsaved", "", !alerts_->unsaved().empty(), alerts_->unsaved());
  const std::vector<alert::PeerStatus> peers = alerts_->overview().peers;
  for (const Condition& condition : conditions_.list()) {
    const bool known =
        std::ranges::find(peers, condition.subject, &alert::PeerStatus::url) != peers.end();
    if (condition.id == "alertmanager_away" && !known) {
      conditions_.clear(condition.id, condition.subject);
    }
  }
  for (const alert::PeerStatus& peer : peers) {
    conditions_.set("alertmanager_away", peer.url, !peer.error.empty(), peer.error);
  }
}

Result<nlohmann::json> Daemon::alert_command(const std::string& name,
                                             const nlohmann::json& request) const {
  if (!alerts_) return fail("tfod is starting: ask again in a moment");
  if (name == "alert-pcap") return sample_headers(request);
  return alerts_->command(name, request);
}

}  // namespace tfo
