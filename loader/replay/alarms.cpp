// SPDX-License-Identifier: BSD-2-Clause
#include "loader/replay/alarms.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "bpf/parse.h"
#include "loader/alert/monitor_samples.h"
#include "loader/dataplane/program.h"
#include "loader/monitor/watchlist.h"

namespace tfo {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr size_t kManyVips = 1024;     // are read less often, as by tfod
constexpr uint32_t kTakeEvery = 1024;  // frames; the ring has room for 5,000 samples
constexpr size_t kLongestSyn = 3072;   // bytes; what any kernel takes in a test run

MonitorAddress mapped(int family, const std::array<uint8_t, 16>& address) {
  if (family != 4) return address;
  MonitorAddress out{};
  out[10] = out[11] = 0xff;
  std::copy_n(address.begin(), 4, out.begin() + 12);
  return out;
}

}  // namespace

bool WatchedNetworks::has(const MonitorAddress& address) const {
  for (const auto& [length, networks] : by_length_) {
    MonitorAddress network = address;
    if (length % 8 != 0) network[length / 8] &= static_cast<uint8_t>(0xff00U >> length % 8);
    std::fill(network.begin() + (length + 7) / 8, network.end(), uint8_t{0});
    if (networks.contains(network)) return true;
  }
  return false;
}

ReplayAlarms::ReplayAlarms(const MapSet& maps, EgressSkeleton egress, const Config& config)
    : maps_(maps),
      egress_(std::move(egress)),
      egress_fd_(bpf_program__fd(egress_->progs.tfo_egress)),
      config_(config),
      engine_(config.alerts.rules),
      step_(config.vips.size() > kManyVips ? 5 * kSecond : kSecond) {}

Result<std::unique_ptr<ReplayAlarms>> ReplayAlarms::open(const MapSet& maps, const Config& config) {
  const Watchlist list = watchlist_of(config);
  if (list.subjects.empty()) return std::unique_ptr<ReplayAlarms>();
  tfo_load_config load{};
  load.monitor = TFO_MONITOR_ON;
  auto egress = load_egress(maps, load);
  if (!egress) return tl::unexpected(std::move(egress).error());
  std::unique_ptr<ReplayAlarms> alarms(new ReplayAlarms(maps, std::move(*egress), config));
  for (const MonitorSubject& subject : list.subjects) {
    for (const MonitorPrefix& prefix : subject.prefixes) alarms->watched_.add(prefix);
  }
  auto monitor = SynAckMonitor::open(maps);
  if (!monitor) return tl::unexpected(std::move(monitor).error());
  alarms->monitor_ = std::move(*monitor);
  // The sockets of whoever replays know nothing of the capture.
  auto watched = alarms->monitor_->watch(list.subjects, false);
  if (!watched) return tl::unexpected(std::move(watched).error());
  return alarms;
}

Result<> ReplayAlarms::run_until(uint64_t now_ns) {
  if (!next_tick_) {
    maps_.control.set_now_ns(now_ns);
    monitor_->tracking_was_away();
  }
  uint64_t next = next_tick_.value_or(now_ns);
  const uint64_t quiet = std::min(now_ns, next + kQuiet);
  for (; next <= quiet; next += step_) {
    if (auto done = tick(next); !done) return done;
  }
  // After so long nothing is raised any more; the engine takes the rest for a jump of the clock.
  next_tick_ = std::max(next, now_ns);
  return {};
}

void ReplayAlarms::step_back(uint64_t now_ns) {
  maps_.control.set_now_ns(now_ns);
  monitor_->tracking_was_away();
  next_tick_ = now_ns;
}

Result<> ReplayAlarms::finish() {
  if (!next_tick_) return {};
  if (auto done = tick(*next_tick_); !done) return done;
  for (const alert::Alert& alert : engine_.active()) {
    const auto kept = raised_.find(alert.id());
    if (kept != raised_.end()) alerts_[kept->second].alert = alert;
  }
  return {};
}

Result<> ReplayAlarms::tick(uint64_t at) {
  maps_.control.set_now_ns(at);
  auto readings = monitor_->read(SIZE_MAX);
  if (!readings) return tl::unexpected(std::move(readings).error());
  const std::vector<alert::Sample> samples = alert::monitor_samples(*readings, config_);
  const alert::Instant instant{.steady_ms = static_cast<int64_t>(at / 1'000'000),
                               .unix_s = static_cast<int64_t>(at / kSecond)};
  for (const alert::Change& change : engine_.tick(instant, samples, {})) take(change);
  monitor_->keep_alarm(alert::attacked(engine_.active()));
  return {};
}

void ReplayAlarms::take(const alert::Change& change) {
  using What = alert::Change::What;
  const std::string id = change.alert.id();
  if (change.what == What::kRaised) {
    if (alerts_.size() == kMost) {
      not_kept_++;
      return;
    }
    raised_[id] = alerts_.size();
    alerts_.push_back(
        {.alert = change.alert, .severities = {{change.at, change.alert.severity}}, .why = {}});
    return;
  }
  const auto kept = raised_.find(id);
  if (kept == raised_.end()) return;
  ReplayedAlert& one = alerts_[kept->second];
  one.alert = change.alert;
  if (change.what == What::kSeverity) one.severities.push_back({change.at, change.alert.severity});
  if (change.what != What::kCleared) return;
  one.cleared_at = change.at;
  one.why = change.why;
  raised_.erase(kept);
}

bool ReplayAlarms::is_outgoing(const EthernetFrame& frame, const std::optional<Flow>& flow,
                               const tfo_load_config& config) const {
  if (frame.direction != Direction::kUnknown) return frame.direction == Direction::kOut;
  if (!flow) return false;
  const bool inside = (config.monitor & TFO_MONITOR_INSIDE) != 0;
  return watched_.has(mapped(flow->family, flow->source)) != inside;
}

Result<bool> ReplayAlarms::leaves(const EthernetFrame& frame, std::span<const uint8_t> whole,
                                  const tfo_load_config& config) {
  if (++since_taken_ == kTakeEvery) {
    since_taken_ = 0;
    if (auto taken = monitor_->take_samples(); !taken) return tl::unexpected(taken.error());
  }
  const Description description = describe(frame, config);
  const auto flow = flow_of(frame, description);
  const bool is_syn = flow && description.parsed == TFO_GO_ON;
  if (!is_outgoing(frame, flow, config)) {
    const bool inside = (config.monitor & TFO_MONITOR_INSIDE) != 0;
    if (inside && is_syn) passing_.came_in(*flow, description, whole);
    return false;
  }
  left_++;
  if (!is_syn || whole.size() > kLongestSyn) return true;
  if (passing_.leaves(*flow, description, whole)) return true;
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = whole.data(),
              .data_size_in = static_cast<uint32_t>(whole.size()), .repeat = 1);
  const int error = bpf_prog_test_run_opts(egress_fd_, &options);
  if (error != 0) return fail_errno("BPF_PROG_TEST_RUN of the egress program", error);
  return true;
}

}  // namespace tfo
