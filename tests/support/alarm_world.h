// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loader/alert/engine.h"
#include "loader/config.h"
#include "loader/dataplane/program.h"
#include "loader/monitor/monitor.h"
#include "tests/support/segment.h"

namespace tfo::test {

/// What all tests of alarms are watched with: a VIP, one that originates, an office that is
/// tracked, the network around them all, one whose SYNs leave elsewhere; everything else as it is
/// shipped. `keys`: path of the pool's keyring.
std::string one_configuration(const std::string& keys);

/// A node that watches for SYN-ACKs as it is shipped: both programs on maps of the default size,
/// the monitor, and the alert engine with its default rules, which ticks each second of a clock of
/// the test's.
class AlarmWorld {
 public:
  static constexpr uint64_t kSecond = 1'000'000'000;
  static constexpr uint64_t kStart = 1'000'000 * kSecond;

  /// `lines`: of each filter; fewer ones stand for as many times more SYNs.
  static Result<std::unique_ptr<AlarmWorld>> start(uint32_t lines = MapSizes::kBloomLines);

  /// ns of boot time.
  uint64_t now() const { return now_; }
  /// Seconds since the start.
  double elapsed() const { return static_cast<double>(now_ - kStart) / kSecond; }
  /// Moves the clock on, with all the engine's ticks on the way.
  void run_until(uint64_t ns);
  void run_for(double seconds);

  void arrive(const Segment& segment) { run(xdp_fd_, segment); }
  void leave(const Segment& segment) { run(egress_fd_, segment); }
  /// The loaded programs.
  int xdp_program() const { return xdp_fd_; }
  int egress_program() const { return egress_fd_; }
  /// While it is so, nobody takes samples out of the ring.
  void be_busy(bool busy) { busy_ = busy; }
  /// Takes them now, for a test that runs the programs itself.
  bool take_samples() { return busy_ || monitor_->take_samples().has_value(); }

  /// What the engine told, but for renewed evidence: "raised critical vip:web".
  const std::vector<std::string>& told() const { return told_; }
  /// All of it.
  const std::vector<alert::Change>& changes() const { return changes_; }
  std::vector<alert::Alert> active() const { return engine_.active(); }
  const alert::Engine& engine() const { return engine_; }
  SynAckMonitor& monitor() { return *monitor_; }
  /// Of the last tick; empty if nothing holds it back.
  std::string waits(const std::string& rule, const std::string& subject) const;
  /// Bytes that the node's maps take in the kernel.
  uint64_t map_memory() const;

 private:
  AlarmWorld() : engine_({}) {}
  Result<> open(uint32_t lines);
  void run(int program, const Segment& segment);
  void tick();

  uint64_t now_ = kStart;
  uint64_t next_tick_ = kStart;
  uint32_t since_taken_ = 0;
  bool busy_ = false;
  Config config_;
  std::unique_ptr<MapSet> maps_;
  std::optional<XdpSkeleton> xdp_;
  std::optional<EgressSkeleton> egress_;
  int xdp_fd_ = -1;
  int egress_fd_ = -1;
  std::unique_ptr<SynAckMonitor> monitor_;
  alert::Engine engine_;
  std::vector<std::string> told_;
  std::vector<alert::Change> changes_;
};

/// Addresses of one_configuration().
inline constexpr uint32_t kNet = ipv4(192, 0, 2, 0);         // /24 "net"
inline constexpr uint32_t kWeb = ipv4(192, 0, 2, 10);        // VIP "web", also of IPv6
inline constexpr uint32_t kShop = ipv4(192, 0, 2, 20);       // VIP "shop", which originates
inline constexpr uint32_t kOffice = ipv4(192, 0, 2, 128);    // /26 "office", tracked; also of IPv6
inline constexpr uint32_t kTransit = ipv4(198, 51, 100, 0);  // /24 "transit", asymmetric

}  // namespace tfo::test
