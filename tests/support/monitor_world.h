// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "loader/dataplane/egress_skeleton.h"
#include "tests/support/packet.h"
#include "tests/support/xdp_load.h"

namespace tfo::test {

/// The XDP and the egress program on one set of maps, with the SYN-ACK monitor on.
class MonitorWorld {
 public:
  static constexpr uint32_t kLines = 1024;

  static Result<MonitorWorld> make(uint8_t monitor = TFO_MONITOR_ON, uint32_t lines = kLines);

  /// An address or network ("192.0.2.0", 24) is watched.
  Result<> watch(const std::string& prefix, unsigned length, const tfo_target& target);
  /// The clock, in ns of boot time.
  void advance(uint64_t ns);
  uint64_t now() const { return xdp_.control().now_ns; }

  Result<> leave(const Packet& packet) const;
  Result<> arrive(const Packet& packet) const;

  /// Summed over all CPUs.
  Result<tfo_monitor_counters> counters(uint16_t subject) const;
  /// Every CPU's.
  Result<std::vector<tfo_monitor_cpu>> cpus() const;
  /// Unsolicited ones of every kind.
  Result<tfo_tally> unsolicited(uint16_t subject) const;
  /// What is in the ring, and takes it out.
  Result<std::vector<tfo_sample>> samples() const;

  XdpUnderTest& xdp() { return xdp_; }

 private:
  MonitorWorld(XdpUnderTest xdp, EgressSkeleton egress)
      : xdp_(std::move(xdp)), egress_(std::move(egress)) {}
  XdpUnderTest xdp_;
  EgressSkeleton egress_;
};

/// A SYN-ACK from one to the other; it acknowledges 1.
Packet unasked(const std::string& source, const std::string& destination, uint16_t port = 40000);

}  // namespace tfo::test
