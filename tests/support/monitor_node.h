// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "loader/dataplane/program.h"
#include "loader/monitor/monitor.h"
#include "tests/support/monitor_world.h"
#include "tests/support/outcome.h"

namespace tfo::test {

/// An IPv4 network.
inline MonitorPrefix prefix(const std::string& address, unsigned length) {
  MonitorPrefix out{.length = length + 96};
  out.address[10] = out.address[11] = 0xff;
  inet_pton(AF_INET, address.c_str(), out.address.data() + 12);
  return out;
}

/// A node with both programs and the monitor on maps of its own, on a clock of the test.
class MonitorNode {
 public:
  static constexpr uint64_t kSecond = 1'000'000'000;

  Result<> start(uint32_t lines = 1024, uint32_t subjects = 16) {
    auto maps = MapSet::create(
        {.handshakes = 1024, .subjects = subjects, .bloom_lines = lines, .each_address = true});
    if (!maps) return tl::unexpected(maps.error());
    maps_ = std::make_unique<MapSet>(std::move(*maps));
    maps_->control.set_now_ns(kBegin);
    tfo_load_config config{};
    config.monitor = TFO_MONITOR_ON;
    auto xdp = load_program(*maps_, config);
    if (!xdp) return tl::unexpected(xdp.error());
    xdp_.emplace(std::move(*xdp));
    auto egress = load_egress(*maps_, config);
    if (!egress) return tl::unexpected(egress.error());
    egress_.emplace(std::move(*egress));
    auto monitor = SynAckMonitor::open(*maps_);
    if (!monitor) return tl::unexpected(monitor.error());
    monitor_ = std::move(*monitor);
    return {};
  }

  Result<> watch(const std::vector<MonitorSubject>& subjects, bool sockets = false) {
    return monitor_->watch(subjects, sockets);
  }
  /// Another monitor on the same maps, as after a restart of tfod.
  Result<> restart(bool unbroken) {
    monitor_.reset();
    auto monitor = SynAckMonitor::open(*maps_, unbroken);
    if (!monitor) return tl::unexpected(monitor.error());
    monitor_ = std::move(*monitor);
    return {};
  }
  void advance(uint64_t ns) { maps_->control.set_now_ns(maps_->control.now_ns() + ns); }
  void arrive(const Packet& packet, int times = 1) {
    run(bpf_program__fd((*xdp_)->progs.tfo_xdp), packet, times);
  }
  void leave(const Packet& packet, int times = 1) {
    run(bpf_program__fd((*egress_)->progs.tfo_egress), packet, times);
  }
  SynAckMonitor& monitor() { return *monitor_; }
  const MapSet& maps() const { return *maps_; }

  /// The reading of this rule about this subject, after the samples were taken.
  MonitorReading reading(const std::string& rule, const std::string& subject) {
    auto all = monitor_->read(SIZE_MAX);
    EXPECT_TRUE(all) << all.error().message;
    for (auto& one : *all) {
      if (one.rule == rule && one.subject == subject) return std::move(one);
    }
    ADD_FAILURE() << "no reading of " << rule << " about " << subject;
    return {};
  }

 private:
  static void run(int program, const Packet& packet, int times) {
    const Bytes frame = packet.frame();
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()), .repeat = times);
    ASSERT_EQ(bpf_prog_test_run_opts(program, &opts), 0);
  }

  static constexpr uint64_t kBegin = 1000 * kSecond;
  std::unique_ptr<MapSet> maps_;
  std::optional<XdpSkeleton> xdp_;
  std::optional<EgressSkeleton> egress_;
  std::unique_ptr<SynAckMonitor> monitor_;
};

/// One address, and half of its network.
inline MonitorSubject vip() {
  return {.name = "web", .kind = TFO_TARGET_VIP, .prefixes = {prefix("192.0.2.10", 32)}};
}

inline MonitorSubject office() {
  return {.name = "office", .kind = TFO_TARGET_TRACKED, .prefixes = {prefix("192.0.2.0", 25)}};
}

/// In 10.0.0.0/8.
inline std::string host(uint32_t number) {
  return "10." + std::to_string(number >> 16 & 255) + "." + std::to_string(number >> 8 & 255) +
         "." + std::to_string(number & 255);
}

}  // namespace tfo::test
