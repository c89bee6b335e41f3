// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/guard_tables.h"

#include <bpf/libbpf.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <set>

#include "bpf/load.h"
#include "loader/dataplane/map_set.h"
#include "loader/dataplane/totals.h"

namespace tfo {
namespace {

/// The load as the next packet would find it.
uint32_t load_at(tfo_guard_head& head, tfo_guard_row& row, uint32_t bucket, uint32_t flags) {
  if ((head.epoch & TFO_EPOCH_MASK) != bucket) {
    tfo_brought_up up{};
    tfo_load_bring_up(&head, &row, (head.epoch & TFO_HEAD_RING) != 0, head.epoch & TFO_EPOCH_MASK,
                      bucket, &up);
  }
  return tfo_load_of(&head, flags);
}

tfo_network network_of(const ConfigAddress& address) {
  tfo_network network{};
  std::memcpy(&network.high, address.data(), sizeof(network.high));
  std::memcpy(&network.low, address.data() + sizeof(network.high), sizeof(network.low));
  return network;
}

ConfigAddress address_of(const __u8 (&bytes)[16]) {
  ConfigAddress address{};
  std::memcpy(address.data(), bytes, address.size());
  return address;
}

uint64_t next_serial() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

}  // namespace

GuardTables::GuardTables(const MapSet& maps) : maps_(maps), serial_(next_serial()) {}

GuardTables::~GuardTables() { ring_buffer__free(ring_); }

Result<std::unique_ptr<GuardTables>> GuardTables::open(const MapSet& maps) {
  std::unique_ptr<GuardTables> tables(new GuardTables(maps));
  const std::pair<const Map*, std::unique_ptr<MapMemory>*> mapped[] = {
      {&maps.guard.heads, &tables->heads_},
      {&maps.guard.rows, &tables->rows_},
      {&maps.guard.vips.raw(), &tables->vips_}};
  for (const auto& [map, to] : mapped) {
    auto mapping = MapMemory::of(*map);
    if (!mapping) return tl::unexpected(std::move(mapping).error());
    *to = std::move(*mapping);
  }
  if (auto opened = tables->open_ring(); !opened) return tl::unexpected(opened.error());
  return tables;
}

Result<tfo_guard> GuardTables::settings(uint32_t slot) const {
  return maps_.guard.settings.get(maps_.settings_index(slot));
}

uint64_t GuardTables::now_ns() const { return maps_.control.now_ns(); }

uint32_t GuardTables::head_count() const { return maps_.guard.heads.entries() * kGuardWays; }

tfo_guard_head* GuardTables::head(uint32_t index) const {
  return &heads_->at<tfo_guard_heads>(index / kGuardWays)->way[index % kGuardWays];
}

tfo_guard_row* GuardTables::row(uint32_t index) const { return rows_->at<tfo_guard_row>(index); }

uint64_t GuardTables::tag_of(const ClientNetwork& network, uint32_t slot, unsigned level) const {
  const tfo_network key = network_of(network.address);
  return tfo_load_tag(&key, static_cast<__u16>(slot), static_cast<int>(level),
                      maps_.control.hash_seed());
}

Result<VipLoad> GuardTables::vip(uint32_t slot) const {
  tfo_guard_vip vip = *vips_->at<tfo_guard_vip>(slot);
  const uint32_t bucket = tfo_bucket(now_ns());
  VipLoad out{.load = load_at(vip.head, vip.row, bucket, 0),
              .opened = vip.head.opened,
              .forgotten = vip.forgotten,
              .untracked = vip.untracked};
  // As tfo_is_blind() of bpf/guard_load.h. Who has opened nothing waits for no answer.
  const auto age = [bucket](uint32_t epoch) { return (bucket - epoch) & TFO_EPOCH_MASK; };
  const bool waits = vip.settled_epoch != 0 && vip.head.opened != vip.head.window;
  out.blind = (vip.blind_epoch != 0 && age(vip.blind_epoch) < TFO_BUCKETS) ||
              (waits && age(vip.settled_epoch) >= TFO_BUCKETS);
  return out;
}

Result<std::vector<GuardedNetwork>> GuardTables::guarded(size_t most, size_t* all) const {
  std::vector<GuardedNetwork> found;
  std::map<uint32_t, std::pair<tfo_guard, uint32_t>> vips;  // by slot, with their load
  const uint64_t now = now_ns();
  for (uint32_t i = 0; i < head_count(); ++i) {
    tfo_guard_head one = *head(i);
    if (one.tag == 0 || (one.epoch & TFO_HEAD_GUARDED) == 0) continue;
    tfo_guard_row row_now = *row(i);
    const uint32_t slot = row_now.slot;
    if (slot >= maps_.sizes().slots || row_now.level >= TFO_LEVEL_VIP) continue;
    if (!vips.contains(slot)) {
      auto guard = settings(slot);
      auto load = vip(slot);
      if (!guard) return tl::unexpected(std::move(guard).error());
      if (!load) return tl::unexpected(std::move(load).error());
      vips.emplace(slot, std::pair(*guard, load->load));
    }
    const auto& [guard, vip_load] = vips.at(slot);
    const auto level = static_cast<tfo_guard_level>(row_now.level);
    const uint32_t limit = tfo_limit_now(guard.limit[level], vip_load, guard.limit[TFO_LEVEL_VIP]);
    const ClientNetwork network = network_at(address_of(row_now.prefix), level);
    const bool coarsest = level == tfo_coarsest(network.is_v4() ? 4 : 6);
    const uint32_t load = load_at(one, row_now, tfo_bucket(now), coarsest ? guard.flags : 0);
    if (tfo_is_over(load, limit, 1) == 0) continue;
    const uint32_t ticks = static_cast<uint32_t>(now >> TFO_TICK_SHIFT) - row_now.since;
    found.push_back({.slot = slot,
                     .level = level,
                     .network = network,
                     .load = load,
                     .limit = limit,
                     .since_ns = now - (uint64_t{ticks} << TFO_TICK_SHIFT),
                     .over = row_now.over});
  }
  *all = found.size();
  std::ranges::stable_sort(found,
                           [](const auto& a, const auto& b) { return a.since_ns > b.since_ns; });
  if (found.size() > most) found.resize(most);
  return found;
}

HandshakeRing GuardTables::vip_ring(uint32_t slot) const {
  const tfo_guard_vip vip = *vips_->at<tfo_guard_vip>(slot);
  return handshake_ring(vip.head, vip.row, now_ns());
}

uint32_t GuardTables::find(uint64_t tag) const {
  const auto set = static_cast<uint32_t>(tag & (maps_.guard.heads.entries() - 1));
  for (uint32_t way = 0; way < kGuardWays; ++way) {
    if (std::atomic_ref(head(set * kGuardWays + way)->tag).load() == tag)
      return set * kGuardWays + way;
  }
  return head_count();
}

std::vector<NetworkHandshakes> GuardTables::network_rings() const {
  std::vector<NetworkHandshakes> found;
  std::set<uint32_t> seen;
  const uint64_t now = now_ns();
  for (uint32_t i = 0; i < head_count(); ++i) {
    const uint64_t tag = head(i)->tag;
    if (tag == 0) continue;
    const tfo_guard_row& one = *row(i);
    const uint32_t slot = one.slot;
    if (slot != tag >> TFO_TAG_SLOT_SHIFT || one.level >= TFO_LEVEL_VIP) continue;
    const ConfigAddress address = address_of(one.prefix);
    const auto level = static_cast<tfo_guard_level>(one.level);
    // A row may still have the name of who sat here before.
    if (tag_of(network_at(address, level), slot, level) != tag) continue;
    const int family = network_at(address, level).is_v4() ? 4 : 6;
    const auto coarsest = static_cast<tfo_guard_level>(tfo_coarsest(static_cast<__u8>(family)));
    const ClientNetwork network = network_at(address, coarsest);
    const uint32_t at = find(tag_of(network, slot, coarsest));
    if (at == head_count() || !seen.insert(at).second) continue;
    found.push_back(
        {.slot = slot, .network = network, .ring = handshake_ring(*head(at), *row(at), now)});
  }
  return found;
}

Result<std::vector<tfo_guard_counters>> GuardTables::counters(uint32_t count) const {
  return read_counters<tfo_guard_counters>(maps_.guard.stats, &maps_.guard.base.raw(), count);
}

Result<uint64_t> GuardTables::answers(uint32_t slot) const {
  std::vector<tfo_guard_counters> each(possible_cpus());
  if (auto read = maps_.guard.stats.read(slot, each.data()); !read) {
    return tl::unexpected(std::move(read).error());
  }
  uint64_t sum = 0;
  for (const tfo_guard_counters& one : each) sum += one.answers;
  return sum;
}

Result<> GuardTables::set_flags(uint32_t slot, uint32_t mask, uint32_t flags) const {
  auto guard = settings(slot);
  if (!guard) return tl::unexpected(std::move(guard).error());
  if ((guard->flags & TFO_GUARD_ON) == 0 || (guard->flags & mask) == (flags & mask)) return {};
  guard->flags = (guard->flags & ~mask) | (flags & mask);
  return maps_.guard.settings.set(maps_.settings_index(slot), *guard);
}

/// What it had is taken off, that it has answered before stays: a victim that is relieved while the
/// VIP is nearly full must not be a stranger there. What programs add meanwhile may be lost.
bool GuardTables::forget(uint64_t tag) const {
  const uint32_t at = find(tag);
  if (at == head_count()) return false;
  tfo_guard_head& one = *head(at);
  const bool loaded = tfo_load_of(&one, 0) != 0 || tfo_load_of(&one, TFO_GUARD_COUNT_OPENS) != 0;
  const uint32_t before = std::atomic_ref(one.epoch).fetch_and(~(TFO_HEAD_GUARDED | TFO_HEAD_RING));
  const uint32_t opened = std::atomic_ref(one.opened).load();
  for (__u32* mark : {&one.gone, &one.mark, &one.window}) std::atomic_ref(*mark).store(opened);
  std::atomic_ref(one.resets).store(0);
  return loaded || (before & TFO_HEAD_GUARDED) != 0;
}

void GuardTables::forget_slot(uint32_t slot) const {
  for (uint32_t i = 0; i < head_count(); ++i) {
    const std::atomic_ref tag(head(i)->tag);
    if (tag.load() >> TFO_TAG_SLOT_SHIFT == slot) tag.store(0);
  }
}

Result<size_t> GuardTables::release(const ClientNetwork& network,
                                    const std::vector<uint32_t>& slots) const {
  size_t forgotten = 0;
  for (const uint32_t slot : slots) {
    for (unsigned level = TFO_LEVEL_ADDRESS; level < TFO_LEVEL_VIP; ++level) {
      const auto around = network_at(network.address, static_cast<tfo_guard_level>(level));
      if (!holds(around, network)) continue;
      forgotten += forget(tag_of(around, slot, level)) ? 1 : 0;
    }
  }
  auto inside = forget_inside(network, slots);
  if (!inside) return inside;
  return forgotten + *inside;
}

Result<size_t> GuardTables::forget_inside(const ClientNetwork& network,
                                          const std::vector<uint32_t>& slots) const {
  size_t forgotten = 0;
  for (uint32_t i = 0; i < head_count(); ++i) {
    const uint64_t tag = head(i)->tag;
    const tfo_guard_row& one = *row(i);
    const unsigned level = one.level;
    if (tag == 0 || level >= TFO_LEVEL_VIP || std::ranges::find(slots, one.slot) == slots.end()) {
      continue;
    }
    const ClientNetwork whose =
        network_at(address_of(one.prefix), static_cast<tfo_guard_level>(level));
    // A row may still have the name of who sat here before.
    if (!holds(network, whose) || tag_of(whose, one.slot, level) != tag) continue;
    forgotten += forget(tag) ? 1 : 0;
  }
  return forgotten;
}

}  // namespace tfo
