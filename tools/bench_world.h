// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "bpf/tfo_abi.h"
#include "bpf/tfo_bench.h"
#include "loader/dataplane/xdp_skeleton.h"
#include "loader/result.h"
#include "tools/bench_case.h"
#include "tools/bench_monitor.h"

// After the types that it uses.
#include <tfo_bench.skel.h>

namespace tfo {

/// The programs of a row: an empty one and the one to measure, and what both return.
struct BenchPrograms {
  int empty = -1;
  int measured = -1;
  uint32_t verdict = 0;
};

/// The configured tables to measure in: 4,096 VIPs over IPv4 and IPv6 in 64 pools of four keys,
/// and the programs, loaded privately: nothing is pinned or attached.
class BenchWorld {
 public:
  static constexpr uint32_t kVips = 4096;
  static constexpr uint32_t kDemoting = 1024;  // more VIPs, which demote invalid cookies
  static constexpr uint32_t kPools = 64;
  static constexpr uint32_t kKeys = 4;

  /// `packets`: entries of the table of prepared packets, a power of two.
  static Result<BenchWorld> load(uint32_t packets);

  BenchWorld(BenchWorld&& other) noexcept;
  BenchWorld& operator=(BenchWorld&&) = delete;
  BenchWorld(const BenchWorld&) = delete;
  BenchWorld& operator=(const BenchWorld&) = delete;
  ~BenchWorld();

  /// Packet `index` of a case: each has its own client, and a VIP taken from all of them.
  std::vector<uint8_t> frame(const BenchCase& what, int family, uint32_t index) const;

  /// Fills the table of prepared packets.
  void prepare(const BenchCase& what, int family);

  /// Fills only the first of them. For a hot run of packets that the program rewrites: the kernel's
  /// test run would give the rewritten one to the next round.
  void prepare_first(const BenchCase& what, int family);

  /// Has the monitor remember the SYNs that the packets of a case answer. Fills the table of
  /// prepared packets.
  Result<> remember(const BenchCase& what, int family, bool cold);

  /// The next cold run begins with packet 0, and takes as many in turn; 1: that one again and
  /// again.
  void rewind(uint32_t packets) {
    bench_->bss->bench_next = 0;
    bench_->bss->bench_mask = packets - 1;
  }

  /// Which load of the program tfo() and cold_tfo() are, and whether the prepared packets get
  /// sequence numbers of their own: the guard knows a SYN that it has seen.
  Result<> choose(const BenchCase& what, int family);

  /// Where counted() has an action's.
  static constexpr unsigned action_count(unsigned action) { return TFO_REASON_COUNT + action; }

  /// Where counted() has what the monitor counts.
  static constexpr unsigned monitor_count(BenchCount count) {
    return action_count(TFO_ACTION_COUNT) + static_cast<unsigned>(count);
  }

  /// Packets counted by reason, by action, and by the monitor, over all slots and processors.
  Result<std::vector<uint64_t>> counted() const;

  /// The chosen row's. `anew`: they take the prepared packets.
  BenchPrograms programs(const BenchCase& what, bool anew) const;
  /// Right before so many packets of a row are run.
  Result<> refresh(const BenchCase& what) const { return monitor_->refresh(what.sampled); }
  void next_epoch(unsigned epochs) { monitor_->next_epoch(epochs); }
  uint32_t packets() const { return packets_; }

 private:
  BenchWorld(XdpSkeleton tfo, XdpSkeleton guarded, Skeleton<tfo_bench> bench, uint32_t packets)
      : tfo_(std::move(tfo)),
        guarded_(std::move(guarded)),
        bench_(std::move(bench)),
        packets_(packets) {}
  Result<> load_tfo();
  Result<> load_guarded();
  Result<> load_bench();
  Result<> load_monitor();
  Result<> put_target(const bpf_map* map, uint32_t index, int program);
  Result<> fill_vips();
  Result<> fill_policies();
  Result<> fill_rings();
  void put(uint32_t index, const std::vector<uint8_t>& frame);

  XdpSkeleton tfo_;
  XdpSkeleton guarded_;  // on the same maps, with the guard on
  int chosen_ = -1;
  std::unique_ptr<MonitorTables> monitor_;
  Skeleton<tfo_bench> bench_;
  uint32_t packets_;
  tfo_bench_packet* table_ = nullptr;  // mapped
  std::vector<tfo_ring> rings_;        // by pool
};

}  // namespace tfo
