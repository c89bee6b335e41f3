// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "bpf/tfo_abi.h"
#include "bpf/tfo_bench.h"
#include "loader/dataplane/xdp_skeleton.h"
#include "loader/result.h"
#include "tools/bench_packet.h"

// After the types that it uses.
#include <tfo_bench.skel.h>

namespace tfo {

/// What one kind of measured packet is.
struct BenchCase {
  const char* name = nullptr;
  const char* meaning = nullptr;  // which packets these are, for the help
  double goal_hot = 0;            // ns net, IPv4; 0: no goal
  double goal_cold = 0;           // likewise; 0: not measured cold; below: measured, without a goal
  size_t data = 0;                // bytes of payload
  int hashes = 0;                 // SipHash evaluations, which cost more over IPv6
  BenchOptions options = BenchOptions::kPlain;  // as they lie in the segment
  int key = 0;                      // place of the key that made the cookie, from 1; 0: none did
  tfo_action action = TFO_PASS;     // what the program must do with every one of them
  tfo_reason reason = TFO_NOT_TCP;  // what the program must count for every one of them
  bool syn = false;
  bool to_vip = false;    // or to an address that is none
  bool guard = false;     // measured in the load of the program that has the guard on
  bool networks = false;  // each client is of a network of its own: /24, or /48

  /// Must each round have a frame of its own, since the program changes it or remembers it?
  bool anew() const { return action != TFO_PASS || (guard && syn); }
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

  /// Packets counted by reason, then by action, over all slots and processors.
  Result<std::vector<uint64_t>> counted() const;

  int tfo() const { return chosen_; }
  int empty() const { return bpf_program__fd(bench_->progs.bench_empty); }
  int cold_tfo() const { return bpf_program__fd(bench_->progs.bench_cold_tfo); }
  int cold_empty() const { return bpf_program__fd(bench_->progs.bench_cold_empty); }
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
  Result<> put_target(uint32_t index, int program);
  Result<> fill_vips();
  Result<> fill_policies();
  Result<> fill_rings();
  void put(uint32_t index, const std::vector<uint8_t>& frame);

  XdpSkeleton tfo_;
  XdpSkeleton guarded_;  // on the same maps, with the guard on
  int chosen_ = -1;
  Skeleton<tfo_bench> bench_;
  uint32_t packets_;
  tfo_bench_packet* table_ = nullptr;  // mapped
  std::vector<tfo_ring> rings_;        // by pool
};

}  // namespace tfo
