// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <bpf/libbpf.h>

#include <array>
#include <cstdint>
#include <vector>

#include "loader/dataplane/egress_skeleton.h"
#include "loader/dataplane/xdp_skeleton.h"
#include "loader/result.h"
#include "tools/bench_case.h"

namespace tfo {

using BenchAddress = std::array<uint8_t, 16>;  // IPv4 mapped

/// Gives an object that is opened and not loaded the maps of another one, but for its read-only
/// data.
Result<> share_maps(const bpf_object* from, bpf_object* to, const bpf_map* rodata);

/// Address `draw` of those that are watched; kTracked or kPrefix.
BenchAddress watched_address(BenchPlace place, int family, uint32_t draw);

/// The SYN-ACK monitor in the tables to measure in, of the size that is shipped: every VIP is
/// watched, and two networks.
class MonitorTables {
 public:
  static constexpr size_t kCounts = 4;  // enum class BenchCount

  /// Before the maps are made.
  static Result<> size(const XdpSkeleton& xdp, uint32_t vips);

  /// `xdp`: loaded, its hash seed set; outlives this. `vips`: their addresses, each with its
  /// number, from 0.
  static Result<MonitorTables> open(XdpSkeleton& xdp);
  MonitorTables(MonitorTables&& other) noexcept;
  MonitorTables& operator=(MonitorTables&&) = delete;
  MonitorTables(const MonitorTables&) = delete;
  MonitorTables& operator=(const MonitorTables&) = delete;
  ~MonitorTables();

  Result<> watch_vip(const BenchAddress& address, uint32_t vip);

  /// The program of a row; not kOff.
  int program(BenchMonitor monitor) const;

  /// The budgets are full again, the ring of samples empty; every packet is a sample, or one in
  /// 1,024.
  Result<> refresh(bool sampled) const;

  /// Moves the clock on: SYNs are remembered anew, and after TFO_BLOOM_REMEMBERED none of the
  /// older ones is.
  void next_epoch(unsigned epochs);

  /// By enum class BenchCount, over all subjects and processors.
  Result<std::array<uint64_t, kCounts>> counted() const;

 private:
  MonitorTables(tfo_xdp& xdp, XdpSkeleton on, XdpSkeleton sockets, EgressSkeleton egress)
      : xdp_(&xdp), on_(std::move(on)), sockets_(std::move(sockets)), egress_(std::move(egress)) {}
  Result<> load();
  Result<> watch_networks();
  Result<> watch(const BenchAddress& address, uint32_t length, const tfo_target& target);

  tfo_xdp* xdp_;  // stays in place when its skeleton is moved
  XdpSkeleton on_;
  XdpSkeleton sockets_;
  EgressSkeleton egress_;
  ring_buffer* ring_ = nullptr;
};

}  // namespace tfo
