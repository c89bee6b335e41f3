// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "bpf/tfo_abi.h"
#include "loader/dataplane/map_memory.h"
#include "loader/guard/handshake_ring.h"
#include "loader/guard/network.h"
#include "loader/result.h"

struct ring_buffer;

namespace tfo {

class Map;
struct MapSet;
struct OldGuard;

inline constexpr uint32_t kGuardWays = 2;  // of a set, of the guard's heads and rows

/// A client network over its limit. Times are boot time in ns.
struct GuardedNetwork {
  uint32_t slot = 0;
  tfo_guard_level level = TFO_LEVEL_ADDRESS;
  ClientNetwork network;
  uint32_t load = 0;
  uint32_t limit = 0;     // in force now
  uint64_t since_ns = 0;  // when it came over it
  uint32_t over = 0;      // SYNs over the limit since then
};

/// What all clients of a VIP together have open.
struct VipLoad {
  uint32_t load = 0;
  uint32_t opened = 0;     // ever; wraps
  uint32_t forgotten = 0;  // see struct tfo_guard_vip
  uint32_t untracked = 0;
  bool blind = false;  // answers do not come this way: no network is held to a limit
};

/// What came lately of the handshakes of a client network, /24 or /48.
struct NetworkHandshakes {
  uint32_t slot = 0;
  ClientNetwork network;
  HandshakeRing ring;
};

/// What the operator said of a client network.
struct ListedNetwork {
  ClientNetwork network;
  tfo_guard_list_verdict verdict = TFO_LIST_DENY;
  uint64_t until_ns = 0;  // boot time; kForEver
  static constexpr uint64_t kForEver = UINT64_MAX;
};

/// The guard's tables of one set of maps, by counter slots. Loads are read in place, as they would
/// be if their next packet came now: nothing is written, and a network that fell silent is seen to
/// come down. Programs write all the while, so numbers of one answer may be apart by a packet.
class GuardTables {
 public:
  static constexpr size_t kMostListed = 1024;

  /// `maps` outlive it.
  static Result<std::unique_ptr<GuardTables>> open(const MapSet& maps);
  ~GuardTables();
  GuardTables(const GuardTables&) = delete;
  GuardTables& operator=(const GuardTables&) = delete;

  /// The first `most` of those that are over their limits, newest first; *all: how many there are.
  Result<std::vector<GuardedNetwork>> guarded(size_t most, size_t* all) const;
  Result<VipLoad> vip(uint32_t slot) const;
  HandshakeRing vip_ring(uint32_t slot) const;
  /// Of the networks that are or were over a limit, or of which a part is or was: nobody knows the
  /// names of others.
  std::vector<NetworkHandshakes> network_rings() const;
  /// Of all CPUs, by slot, for slots [0, count).
  Result<std::vector<tfo_guard_counters>> counters(uint32_t count) const;
  /// Of all CPUs, of this set of maps only.
  Result<uint64_t> answers(uint32_t slot) const;
  Result<tfo_guard> settings(uint32_t slot) const;
  /// Flags of a VIP whose guard is on, of those in `mask`.
  Result<> set_flags(uint32_t slot, uint32_t mask, uint32_t flags) const;

  /// Forgets the load of every network that the given one holds or lies in, at these slots, not
  /// that it has answered. What lies in it is known only of networks that are or were over a limit.
  /// The VIP's own load stays: its servers still hold the connections. Returns how many loads were
  /// forgotten.
  Result<size_t> release(const ClientNetwork& network, const std::vector<uint32_t>& slots) const;

  /// Forgets every network of a slot that is to be another VIP's. No packet may come to it.
  void forget_slot(uint32_t slot) const;

  /// The operator's list, by network; what has ended is left out.
  Result<std::vector<ListedNetwork>> listed() const;
  /// Adds or replaces. Fails if kMostListed are there. An entry ends by itself, with or without a
  /// daemon; the longest one that matches a client counts.
  Result<> list(const ListedNetwork& entry) const;
  /// False if it was not there.
  Result<bool> unlist(const ClientNetwork& network) const;
  /// Removes what has ended.
  Result<> purge() const;
  /// Takes over the list of another set of maps; one of another layout is left, and that is said.
  Result<> copy_list(const Map& from) const;

  /// Takes over what clients hold open by the tables of another set that names them under the same
  /// seed: loads and handshakes of the slots that `kept` says, by slot. Where this set has counted
  /// already nothing is done. Tables of fewer entries take what is worth most. What programs write
  /// there meanwhile may be missed, by a packet each.
  Result<> take_loads(const OldGuard& old, const std::vector<bool>& kept) const;

  /// Becomes readable when there are events.
  int events_fd() const;
  /// Hands over all that are there, oldest first.
  Result<> take_events(const std::function<void(const tfo_guard_event&)>& take);
  /// Another number for each object of this process.
  uint64_t serial() const { return serial_; }

  /// The programs' clock: boot time in ns.
  uint64_t now_ns() const;

 private:
  explicit GuardTables(const MapSet& maps);
  tfo_guard_head* head(uint32_t index) const;
  tfo_guard_row* row(uint32_t index) const;
  uint32_t head_count() const;
  bool forget(uint64_t tag) const;
  /// The head of `tag`; head_count(): there is none.
  uint32_t find(uint64_t tag) const;
  uint64_t tag_of(const ClientNetwork& network, uint32_t slot, unsigned level) const;
  Result<size_t> forget_inside(const ClientNetwork& network,
                               const std::vector<uint32_t>& slots) const;
  Result<> take_heads(const OldGuard& old, const std::vector<bool>& kept) const;
  Result<> take_handshakes(const OldGuard& old, const std::vector<bool>& kept) const;
  void seat(const tfo_guard_head& load, const tfo_guard_row& row_now) const;
  bool is_listed(const ClientNetwork& network) const;
  Result<> remove_ended(std::vector<ListedNetwork>& all) const;
  Result<> open_ring();

  const MapSet& maps_;
  uint64_t serial_;
  std::unique_ptr<MapMemory> heads_, rows_, vips_;
  ring_buffer* ring_ = nullptr;
  std::function<void(const tfo_guard_event&)> take_;
};

}  // namespace tfo
