// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/alarm_world.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <utility>

#include "loader/alert/monitor_samples.h"
#include "loader/monitor/watchlist.h"

namespace tfo::test {
namespace {

constexpr uint32_t kTakeEvery = 512;  // the ring has room for 5,000 samples

}  // namespace

std::string one_configuration(const std::string& keys) {
  return R"({
    "interfaces": [{"name": "eth0"}],
    "pools": {"web": {"store": "file", "file": ")" +
         keys + R"("}},
    "vips": [
      {"name": "web", "addresses": ["192.0.2.10", "2001:db8::c000:20a"], "pool": "web"},
      {"name": "shop", "addresses": ["192.0.2.20"], "pool": "web", "originates": true}],
    "monitor": {
      "tracked": [{"name": "office", "prefixes": ["192.0.2.128/26", "2001:db8::c000:280/122"]}],
      "prefixes": [
        {"name": "net", "prefix": "192.0.2.0/24"},
        {"name": "transit", "prefix": "198.51.100.0/24", "kind": "asymmetric"}]}
  })";
}

Result<std::unique_ptr<AlarmWorld>> AlarmWorld::start(uint32_t lines) {
  std::unique_ptr<AlarmWorld> world(new AlarmWorld);
  if (auto opened = world->open(lines); !opened) return tl::unexpected(opened.error());
  return world;
}

Result<> AlarmWorld::open(uint32_t lines) {
  ConfigResult config = parse_config(one_configuration("/etc/tfoguard/web.keys"), "test");
  if (!config) return fail(config.error().front().text());
  config_ = std::move(*config);
  const Watchlist list = watchlist_of(config_);
  MapSizes sizes = MapSizes{.handshakes = MapSizes::kFewestHandshakes}.with(list.room());
  sizes.bloom_lines = lines;
  auto maps = MapSet::create(sizes);
  if (!maps) return tl::unexpected(maps.error());
  maps_ = std::make_unique<MapSet>(std::move(*maps));
  maps_->control.set_now_ns(now_);
  tfo_load_config load{};
  load.monitor = config_.interfaces[0].monitor;
  auto xdp = load_program(*maps_, load);
  if (!xdp) return tl::unexpected(xdp.error());
  xdp_.emplace(std::move(*xdp));
  xdp_fd_ = bpf_program__fd((*xdp_)->progs.tfo_xdp);
  load.monitor = config_.interfaces[0].tracks;
  auto egress = load_egress(*maps_, load);
  if (!egress) return tl::unexpected(egress.error());
  egress_.emplace(std::move(*egress));
  egress_fd_ = bpf_program__fd((*egress_)->progs.tfo_egress);
  auto monitor = SynAckMonitor::open(*maps_);
  if (!monitor) return tl::unexpected(monitor.error());
  monitor_ = std::move(*monitor);
  engine_.set_rules(config_.alerts.rules);
  return monitor_->watch(list.subjects, true);
}

void AlarmWorld::run(int program, const Segment& segment) {
  const View frame = segment.frame();
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
              .data_size_in = static_cast<uint32_t>(frame.size()), .repeat = 1);
  ASSERT_EQ(bpf_prog_test_run_opts(program, &options), 0);
  if (busy_ || ++since_taken_ < kTakeEvery) return;
  since_taken_ = 0;
  EXPECT_TRUE(monitor_->take_samples());
}

void AlarmWorld::tick() {
  auto readings = monitor_->read(busy_ ? 0 : SIZE_MAX);
  ASSERT_TRUE(readings) << readings.error().message;
  const auto samples = alert::monitor_samples(*readings, config_);
  const alert::Instant instant{.steady_ms = static_cast<int64_t>(next_tick_ / 1'000'000),
                               .unix_s = static_cast<int64_t>(next_tick_ / kSecond)};
  for (alert::Change& change : engine_.tick(instant, samples, {})) {
    if (change.what != alert::Change::What::kEvidence) {
      told_.push_back(std::string(to_string(change.what)) + " " +
                      std::string(to_string(change.alert.severity)) + " " + change.alert.id());
    }
    changes_.push_back(std::move(change));
  }
  monitor_->keep_alarm(alert::attacked(engine_.active()));
}

void AlarmWorld::run_until(uint64_t ns) {
  for (; next_tick_ <= ns; next_tick_ += kSecond) {
    maps_->control.set_now_ns(next_tick_);
    tick();
  }
  now_ = std::max(now_, ns);
  maps_->control.set_now_ns(now_);
}

void AlarmWorld::run_for(double seconds) {
  run_until(now_ + static_cast<uint64_t>(seconds * static_cast<double>(kSecond)));
}

std::string AlarmWorld::waits(const std::string& rule, const std::string& subject) const {
  for (const alert::Waiting& one : engine_.waiting()) {
    if (one.rule == rule && one.subject == subject) return one.why;
  }
  return {};
}

uint64_t AlarmWorld::map_memory() const {
  uint64_t sum = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream info(entry.path());
    std::string word;
    while (info >> word) {
      if (word != "memlock:") continue;
      uint64_t bytes = 0;
      info >> bytes;
      sum += bytes;
    }
  }
  return sum;
}

}  // namespace tfo::test
