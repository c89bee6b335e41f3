// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/live_set.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <map>

#include "loader/dataplane/totals.h"
#include "loader/dataplane/vip_policy.h"
#include "loader/dataplane/vip_table.h"

namespace tfo {
namespace {

/// The place of a VIP's counters once the plan is applied.
struct SlotChoice {
  uint32_t slot;
  bool reset;   // was another's: zero it first
  bool assign;  // the name has to be written
};

/// For the rows of this side.
void append_rows(std::vector<tfo_vip>& rows, const VipConfig& vip, uint32_t slot, uint32_t pool,
                 uint32_t side) {
  static const std::vector<uint16_t> kAnyPort{0};
  for (const auto& address : vip.addresses) {
    for (const uint16_t port : vip.ports.empty() ? kAnyPort : vip.ports) {
      tfo_vip row{};
      std::memcpy(row.address, address.data(), sizeof(row.address));
      row.port = htons(port);
      row.slot = static_cast<__u16>(slot);
      row.pool = static_cast<__u16>(pool);
      row.mode = static_cast<__u8>(vip.mode);
      row.flags = static_cast<__u8>(vip_flags(vip) | (side != 0 ? TFO_VIP_SECOND : 0));
      row.canary = canary_share(vip);
      rows.push_back(row);
    }
  }
}

std::array<uint8_t, 18> row_key(const tfo_vip& row) {
  std::array<uint8_t, 18> key{};
  std::memcpy(key.data(), row.address, sizeof(row.address));
  std::memcpy(key.data() + sizeof(row.address), &row.port, sizeof(row.port));
  return key;
}

/// Two rows with one key could never both stand in the table.
Result<> check_unique(const std::vector<tfo_vip>& rows, const NameTable& slots,
                      const std::map<uint32_t, std::string>& planned) {
  std::map<std::array<uint8_t, 18>, uint32_t> seen;
  for (const auto& row : rows) {
    const auto [other, fresh] = seen.emplace(row_key(row), row.slot);
    if (fresh) continue;
    auto name = [&](uint32_t slot) {
      const auto found = planned.find(slot);
      return found == planned.end() ? slots.name(slot) : found->second;
    };
    ConfigAddress address{};
    std::memcpy(address.data(), row.address, address.size());
    return fail("VIPs \"" + name(other->second) + "\" and \"" + name(row.slot) +
                "\" both claim address " + address_text(address) + " port " +
                std::to_string(ntohs(row.port)) + ": give it to one of them");
  }
  return {};
}

void fill_pass(tfo_counters& counters) {
  for (auto* actions : {&counters.action, &counters.would}) {
    uint64_t others = 0;
    for (unsigned action = TFO_PASS + 1; action < TFO_ACTION_COUNT; ++action) {
      others += (*actions)[action];
    }
    (*actions)[TFO_PASS] = packet_total(counters) - others;
  }
}

}  // namespace

struct LiveSet::Plan {
  const std::vector<VipConfig>* vips;
  std::map<std::string, SlotChoice> slots;  // by VIP name
  std::vector<tfo_vip> rows;
  std::set<uint32_t> used_slots;
  std::set<uint32_t> used_pools;
};

LiveSet::LiveSet(MapSet maps, GracePeriod& grace)
    : maps_(std::move(maps)), grace_(&grace), rings_(maps_, grace) {}

Result<std::unique_ptr<LiveSet>> LiveSet::make(MapSet maps, GracePeriod& grace) {
  std::unique_ptr<LiveSet> set(new LiveSet(std::move(maps), grace));
  auto guard = GuardTables::open(set->maps_);
  if (!guard) return tl::unexpected(std::move(guard).error());
  set->guard_ = std::move(*guard);
  auto read = set->read_live();
  if (!read) return tl::unexpected(read.error());
  return set;
}

Result<> LiveSet::read_live() {
  auto slots = NameTable::read(maps_.slot_names, TFO_NODE_SLOT + 1);
  if (!slots) return tl::unexpected(std::move(slots).error());
  slots_ = std::move(*slots);
  auto pools = NameTable::read(maps_.pool_names, 0);
  if (!pools) return tl::unexpected(std::move(pools).error());
  pools_ = std::move(*pools);
  const uint32_t side = maps_.sizes().vip_rows;
  auto rows = maps_.vips.get_range(maps_.control.vip_side() * side, side);
  if (!rows) return tl::unexpected(std::move(rows).error());
  for (const auto& row : *rows) {
    if ((row.flags & TFO_VIP_USED) == 0) continue;
    live_slots_.insert(row.slot);
    live_pools_.insert(row.pool);
  }
  return {};
}

size_t LiveSet::slots_needed(const std::vector<VipConfig>& vips) const {
  std::set<std::string> names;
  for (const auto& vip : vips) names.insert(vip.name);
  for (const uint32_t slot : live_slots_) names.insert(slots_.name(slot));
  return names.size() + slots_.first();
}

/// Names that have a slot keep it; others get a free one, then one whose VIP is gone for good.
bool LiveSet::plan_slots(Plan& plan) const {
  for (const auto& vip : *plan.vips) {
    if (const auto slot = slots_.find(vip.name)) {
      plan.slots.emplace(vip.name, SlotChoice{*slot, false, false});
      plan.used_slots.insert(*slot);
    }
  }
  std::optional<uint32_t> free = slots_.free(0);
  uint32_t reused = slots_.first();
  for (const auto& vip : *plan.vips) {
    if (plan.slots.contains(vip.name)) continue;
    SlotChoice choice{0, false, true};
    if (free) {
      choice.slot = *free;
      free = slots_.free(*free + 1);
    } else {
      while (reused < slots_.size() &&
             (live_slots_.contains(reused) || plan.used_slots.contains(reused))) {
        ++reused;
      }
      if (reused == slots_.size()) return false;
      choice = {reused++, true, true};
    }
    plan.slots.emplace(vip.name, choice);
    plan.used_slots.insert(choice.slot);
  }
  return true;
}

Result<> LiveSet::plan_pools(Plan& plan) {
  std::map<uint32_t, std::string> names;
  for (const auto& [name, choice] : plan.slots) names.emplace(choice.slot, name);
  for (const auto& vip : *plan.vips) {
    auto pool = pool_number(vip.pool);
    if (!pool) return tl::unexpected(std::move(pool).error().in("VIP \"" + vip.name + "\""));
    plan.used_pools.insert(*pool);
    append_rows(plan.rows, vip, plan.slots.at(vip.name).slot, *pool, 1 - maps_.control.vip_side());
  }
  return check_unique(plan.rows, slots_, names);
}

Result<LiveSet::Fit> LiveSet::set_vips(const std::vector<VipConfig>& vips) {
  Plan plan{.vips = &vips, .slots = {}, .rows = {}, .used_slots = {}, .used_pools = {}};
  if (!plan_slots(plan)) return Fit::kTooSmall;
  auto pools = plan_pools(plan);
  if (!pools) return tl::unexpected(pools.error());
  auto rows = place_vips(plan.rows, maps_.control.hash_seed(), maps_.control.vip_mask());
  if (!rows) return Fit::kTooSmall;
  auto applied = apply(plan, *rows);
  if (!applied) return tl::unexpected(applied.error());
  return Fit::kDone;
}

Result<> LiveSet::apply(const Plan& plan, const std::vector<tfo_vip>& rows) {
  auto done = grace_->wait_since(vips_flipped_);
  for (const auto& [name, choice] : plan.slots) {
    if (done && choice.reset) done = reset_slot(choice.slot);
    if (done && choice.assign) done = slots_.assign(choice.slot, name);
  }
  const uint32_t idle = 1 - maps_.control.vip_side();
  for (const VipConfig& vip : *plan.vips) {
    if (done) done = set_settings(vip, plan.slots.at(vip.name).slot, idle);
  }
  if (done) done = maps_.vips.set_range(idle * static_cast<uint32_t>(rows.size()), rows);
  if (!done) return done;

  std::set<uint32_t> unused = live_pools_;
  for (const uint32_t pool : plan.used_pools) unused.erase(pool);
  vips_flipped_ = grace_->now();
  maps_.control.set_vip_side(idle);
  live_slots_ = plan.used_slots;
  live_pools_ = plan.used_pools;
  order_.clear();
  for (const auto& vip : *plan.vips) order_.push_back(vip.name);
  rows_ = plan.rows.size();
  std::erase_if(servers_, [&](const auto& one) { return !plan.slots.contains(one.first); });
  return drop_pools(unused);
}

Result<> LiveSet::reset_slot(uint32_t slot) {
  const std::vector<uint8_t> zero(maps_.stats.raw_size());
  auto done = maps_.stats.write(slot, zero.data());
  if (done) done = maps_.stats_base.set(slot, tfo_counters{});
  if (done) done = maps_.triggers.set(slot, tfo_trigger{});
  for (uint32_t side = 0; side < 2; ++side) {
    if (done) done = maps_.policies.set(slot * 2 + side, tfo_policy{});
    if (done) done = maps_.guard.settings.set(slot * 2 + side, tfo_guard{});
  }
  if (done) done = maps_.guard.vips.set(slot, tfo_guard_vip{});
  if (done) guard_->forget_slot(slot);
  const std::vector<uint8_t> none(maps_.guard.stats.raw_size());
  if (done) done = maps_.guard.stats.write(slot, none.data());
  if (done) done = maps_.guard.base.set(slot, tfo_guard_counters{});
  return done;
}

/// What packets go by that find the rows of this side.
Result<> LiveSet::set_settings(const VipConfig& vip, uint32_t slot, uint32_t side) const {
  const auto known = servers_.find(vip.name);
  const ServerFacts servers = known == servers_.end() ? ServerFacts{} : known->second;
  tfo_guard guard = kernel_guard(vip, servers);
  tfo_policy policy = kernel_policy(vip.policy, servers);
  const auto guard_now = maps_.guard.settings.get(maps_.settings_index(slot));
  if (!guard_now) return tl::unexpected(guard_now.error());
  const auto policy_now = maps_.policies.get(maps_.settings_index(slot));
  if (!policy_now) return tl::unexpected(policy_now.error());
  if (known == servers_.end()) keep_facts(vip, *guard_now, *policy_now, guard, policy);
  // What was found out while it ran stays.
  if (guard.flags != 0) guard.flags |= guard_now->flags & ~static_cast<__u32>(TFO_GUARD_ON);
  const uint32_t index = tfo_settings_index(slot, side != 0 ? TFO_VIP_SECOND : 0);
  if (auto set = maps_.guard.settings.set(index, guard); !set) return set;
  return maps_.policies.set(index, policy);
}

Result<> LiveSet::set_servers(const VipConfig& vip, const ServerFacts& facts) {
  const auto known = servers_.find(vip.name);
  if (known != servers_.end() && known->second == facts) return {};
  servers_[vip.name] = facts;
  const auto slot = slots_.find(vip.name);
  return slot ? set_settings(vip, *slot, maps_.control.vip_side()) : Result<>{};
}

Result<tfo_trigger> LiveSet::trigger(const std::string& vip) const {
  const auto slot = slots_.find(vip);
  if (!slot) return tfo_trigger{};
  return maps_.triggers.get(*slot);
}

Result<> LiveSet::drop_pools(const std::set<uint32_t>& unused) {
  if (unused.empty()) return {};
  auto done = grace_->wait_since(vips_flipped_);
  for (const uint32_t pool : unused) {
    if (done) done = rings_.clear(pool);
    if (done) done = pools_.assign(pool, "");
  }
  return done;
}

Result<uint32_t> LiveSet::pool_number(const std::string& pool) {
  if (const auto number = pools_.find(pool)) return *number;
  const auto number = pools_.free(0);
  if (!number) {
    return fail("no room for pool \"" + pool + "\": at most " + std::to_string(TFO_MAX_POOLS) +
                " pools on one node");
  }
  auto assigned = pools_.assign(*number, pool);
  if (!assigned) return tl::unexpected(assigned.error());
  return *number;
}

Result<> LiveSet::set_ring(const std::string& pool, const tfo_ring& ring) {
  auto number = pool_number(pool);
  if (!number) return tl::unexpected(std::move(number).error());
  return rings_.replace(*number, ring);
}

Result<tfo_ring> LiveSet::ring(const std::string& pool) const {
  const auto number = pools_.find(pool);
  if (!number) return tfo_ring{};
  return rings_.live(*number);
}

Result<> LiveSet::reserve_slots(const std::vector<std::string>& names) {
  for (uint32_t slot = slots_.first(); slot < std::min<size_t>(names.size(), slots_.size());
       ++slot) {
    if (names[slot].empty() || slots_.find(names[slot])) continue;
    auto assigned = slots_.assign(slot, names[slot]);
    if (!assigned) return assigned;
  }
  return {};
}

Result<> LiveSet::copy_rings(const LiveSet& from) {
  servers_ = from.servers_;
  if (auto copied = guard_->copy_list(from.maps_.guard.list); !copied) return copied;
  for (uint32_t pool = 0; pool < from.pools_.size(); ++pool) {
    const std::string& name = from.pools_.name(pool);
    if (name.empty()) continue;
    auto ring = from.rings_.live(pool);
    if (!ring) return tl::unexpected(std::move(ring).error());
    auto set = set_ring(name, *ring);
    wipe_ring(*ring);
    if (!set) return set;
  }
  return {};
}

Result<Snapshot> LiveSet::counters() const {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  auto totals = read_totals(maps_.stats, &maps_.stats_base.raw(), slots_.end_of_names());
  if (!totals) return tl::unexpected(std::move(totals).error());
  const auto guards = guard_->counters(slots_.end_of_names());
  if (!guards) return tl::unexpected(guards.error());
  for (auto& counters : *totals) fill_pass(counters);
  Snapshot snapshot{.taken_ns = now.tv_sec * 1'000'000'000 + now.tv_nsec,
                    .node = (*totals)[TFO_NODE_SLOT],
                    .vips = {}};
  for (const auto& name : order_) {
    const uint32_t slot = slots_.find(name).value_or(TFO_NODE_SLOT);
    snapshot.vips.push_back({name, (*totals)[slot], (*guards)[slot]});
  }
  return snapshot;
}

}  // namespace tfo
