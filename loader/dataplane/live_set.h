// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "loader/config.h"
#include "loader/dataplane/dataplane.h"
#include "loader/dataplane/guard_carry.h"
#include "loader/dataplane/guard_tables.h"
#include "loader/dataplane/map_set.h"
#include "loader/dataplane/name_table.h"
#include "loader/dataplane/ring_writer.h"
#include "loader/dataplane/vip_policy.h"
#include "loader/observe/snapshot.h"

namespace tfo {

/// A set of maps with what is in it: VIPs, rings, names and counters. Knows nothing of pins,
/// programs and interfaces, so it serves a private set (bench, replay) just as well.
class LiveSet {
 public:
  /// `grace` must outlive the set. What the maps hold already stays in force.
  static Result<std::unique_ptr<LiveSet>> make(MapSet maps, GracePeriod& grace);

  enum class Fit { kDone, kTooSmall };

  /// Replaces all VIPs in one step, or changes nothing and says that the maps are too small.
  Result<Fit> set_vips(const std::vector<VipConfig>& vips);

  /// Replaces the keys of a pool in one step; gives the pool its number if it has none.
  Result<> set_ring(const std::string& pool, const tfo_ring& ring);
  /// Whether the pool has a ring here: not before set_ring(), nor once its last VIP went.
  bool has_pool(const std::string& pool) const { return pools_.find(pool).has_value(); }
  /// The ring that packets see; an empty one for an unknown pool. Holds secrets.
  Result<tfo_ring> ring(const std::string& pool) const;

  /// What became known of a pool's servers: `vips` of that pool go by it from now on, and so do
  /// those of a later set_vips().
  Result<> set_servers(const VipConfig& vip, const ServerFacts& facts);
  /// What the programs remember of a VIP's rates.
  Result<tfo_trigger> trigger(const std::string& vip) const;

  /// Gives the names their slots, by their place (empty: nobody's), so that totals and loads can be
  /// carried to them. Names that do not fit are left out.
  Result<> reserve_slots(const std::vector<std::string>& names);
  /// Takes over the seed under which clients are named, and what the guard went by. Before VIPs are
  /// set; the names have their slots.
  Result<> begin_guard(const OldGuard& old);
  /// Takes over what clients hold open, if they are still named under that seed; else that is said
  /// in the journal. Before programs use this set, and as shortly as can be.
  Result<> take_loads(const OldGuard& old);
  /// Another seed, for VIPs that find no place under this one.
  Result<> change_seed();
  /// Takes over pool numbers, live rings, what is known of servers and the operator's list of a set
  /// with the same layout.
  Result<> copy_rings(const LiveSet& from);

  /// See Dataplane::map_use().
  std::vector<MapUse> use() const;

  /// Base plus all CPUs of the VIPs of the last set_vips(), in their order, and of the node.
  Result<Snapshot> counters() const;

  /// What the guard holds, by slots().
  GuardTables& guard() const { return *guard_; }

  const MapSet& maps() const { return maps_; }
  const NameTable& slots() const { return slots_; }
  /// How many names the slots must hold for these VIPs and those that are live now.
  size_t slots_needed(const std::vector<VipConfig>& vips) const;

 private:
  LiveSet(MapSet maps, GracePeriod& grace);
  struct Plan;
  Result<> read_live();
  bool plan_slots(Plan& plan) const;
  Result<> plan_pools(Plan& plan);
  Result<> apply(const Plan& plan, const std::vector<tfo_vip>& rows);
  Result<> reset_slot(uint32_t slot);
  Result<> set_settings(const VipConfig& vip, uint32_t slot, uint32_t side) const;
  std::vector<bool> same_slots(const OldGuard& old) const;
  Result<> drop_pools(const std::set<uint32_t>& unused);
  Result<uint32_t> pool_number(const std::string& pool);

  MapSet maps_;
  std::unique_ptr<GuardTables> guard_;  // reads maps_
  GracePeriod* grace_;
  NameTable slots_;
  NameTable pools_;
  RingWriter rings_;
  uint64_t vips_flipped_ = 0;       // GracePeriod::now() of the last flip of the VIP table
  std::set<uint32_t> live_slots_;   // of the rows that packets see
  std::set<uint32_t> live_pools_;   // likewise
  std::vector<std::string> order_;  // VIPs as configured
  size_t rows_ = 0;                 // of the VIP table, on the side that packets see
  std::map<std::string, ServerFacts> servers_;  // by VIP
};

}  // namespace tfo
