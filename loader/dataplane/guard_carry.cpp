// SPDX-License-Identifier: BSD-2-Clause
// What clients hold open goes with them to another set of maps.
#include "loader/dataplane/guard_carry.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <tuple>
#include <utility>

#include "bpf/load.h"
#include "bpf/settings.h"
#include "bpf/tuple.h"
#include "loader/dataplane/guard_tables.h"
#include "loader/dataplane/name_table.h"
#include "loader/log.h"

namespace tfo {
namespace {

namespace fs = std::filesystem;

bool is_kept(const std::vector<bool>& kept, size_t slot) {
  return slot < kept.size() && kept[slot];
}

/// What a handshake is worth to a table that cannot hold all: pending, then the younger.
std::pair<int, uint32_t> worth(const tfo_handshake& one, uint32_t now) {
  const auto state = tfo_handshake_state(one.word);
  if (state == TFO_HANDSHAKE_NONE || tfo_tick_age(now, one.opened) >= TFO_PENDING_BUCKETS) {
    return {0, 0};
  }
  return {state == TFO_HANDSHAKE_PENDING ? 2 : 1, ~(now - one.opened)};
}

Result<> copy_control(const Map& control, OldGuard& old) {
  constexpr size_t kKnown = offsetof(tfo_control, handshake_mask);
  std::vector<uint8_t> raw(std::max(control.raw_size(), sizeof(tfo_control)));
  if (auto read = control.read(0, raw.data()); !read) return read;
  tfo_control now{};
  std::memcpy(static_cast<void*>(&now), raw.data(), kKnown);
  std::copy_n(now.hash_seed, 2, old.seed);
  old.side = now.vip_side & 1;
  return {};
}

}  // namespace

Result<std::optional<OldGuard>> OldGuard::open(const fs::path& directory) {
  const auto meta = read_meta(directory);
  if (!meta) return tl::unexpected(meta.error());
  if (!fs::exists(directory / "guard_heads")) return std::nullopt;
  if (meta->guard_layout != TFO_GUARD_LAYOUT) {
    return fail("they have layout " + std::to_string(meta->guard_layout) + ", this version has " +
                std::to_string(TFO_GUARD_LAYOUT));
  }
  OldGuard old;
  Map vips, settings, names, control;
  const std::tuple<const char*, Map*, size_t> all[] = {
      {"guard_heads", &old.heads, sizeof(tfo_guard_heads)},
      {"guard_rows", &old.rows, sizeof(tfo_guard_row)},
      {"handshakes", &old.handshakes, sizeof(tfo_handshake_set)},
      {"guard_vips", &vips, sizeof(tfo_guard_vip)},
      {"guards", &settings, sizeof(tfo_guard)},
      {"guard_list", &old.list, sizeof(tfo_guard_list_entry)},
      {"slot_names", &names, sizeof(tfo_slot_name)},
      {"control", &control, 0}};
  for (const auto& [name, to, size] : all) {
    auto map = Map::open_pin(name, directory / name);
    if (!map) return tl::unexpected(map.error());
    if (size != 0 && map->shape().value_size != size) {
      return fail("the entries of " + std::string(name) + " have another size");
    }
    *to = std::move(*map);
  }
  old.vips = ArrayMap<tfo_guard_vip>(std::move(vips));
  old.settings = ArrayMap<tfo_guard>(std::move(settings));
  if (auto copied = copy_control(control, old); !copied) return tl::unexpected(copied.error());
  const ArrayMap<tfo_slot_name> table(std::move(names));
  const auto values = table.get_range(0, table.entries());
  if (!values) return tl::unexpected(values.error());
  for (const auto& value : *values) old.names.push_back(name_text(value));
  return old;
}

std::optional<OldGuard> OldGuard::find(const fs::path& directory) {
  auto old = open(directory);
  if (old) return std::move(*old);
  log_warning(
      "guard: what clients hold open by the maps before cannot be taken over: {}. Their loads "
      "begin "
      "at zero, and whoever was over a limit is free again; what was counted is kept",
      old.error().message);
  return std::nullopt;
}

Result<tfo_guard> OldGuard::settings_of(uint32_t slot) const {
  return settings.get(tfo_settings_index(slot, side != 0 ? TFO_VIP_SECOND : 0));
}

Result<> GuardTables::take_loads(const OldGuard& old, const std::vector<bool>& kept) const {
  const auto slots = static_cast<uint32_t>(
      std::min<size_t>({kept.size(), old.vips.entries(), maps_.sizes().slots}));
  for (uint32_t slot = 0; slot < slots; ++slot) {
    if (kept[slot] && vips_->at<tfo_guard_vip>(slot)->head.opened != 0) return {};
  }
  auto done = take_handshakes(old, kept);
  if (done) done = take_heads(old, kept);
  // Last: they say that it is done.
  for (uint32_t slot = 0; done && slot < slots; ++slot) {
    if (!kept[slot]) continue;
    auto vip = old.vips.get(slot);
    if (!vip) return tl::unexpected(vip.error());
    *vips_->at<tfo_guard_vip>(slot) = *vip;
  }
  return done;
}

/// A tag names its client in tables of any size.
Result<> GuardTables::take_heads(const OldGuard& old, const std::vector<bool>& kept) const {
  const auto heads = MapMemory::of(old.heads);
  if (!heads) return tl::unexpected(heads.error());
  const auto rows = MapMemory::of(old.rows);
  if (!rows) return tl::unexpected(rows.error());
  for (uint32_t set = 0; set < old.heads.entries(); ++set) {
    for (uint32_t way = 0; way < kGuardWays; ++way) {
      const tfo_guard_head one = (*heads)->at<tfo_guard_heads>(set)->way[way];
      if (one.tag == 0 || !is_kept(kept, one.tag >> TFO_TAG_SLOT_SHIFT)) continue;
      seat(one, *(*rows)->at<tfo_guard_row>(set * kGuardWays + way));
    }
  }
  return {};
}

/// Even who is worth nothing goes with them while there is room: it may have answered once.
void GuardTables::seat(const tfo_guard_head& load, const tfo_guard_row& row_now) const {
  const uint32_t bucket = tfo_bucket(now_ns());
  const auto rank = [bucket](const tfo_guard_head& one) {
    return one.tag == 0 ? 0 : 1 + uint64_t{tfo_load_worth(&one, bucket)};
  };
  const auto set = static_cast<uint32_t>(load.tag & (maps_.guard.heads.entries() - 1));
  uint32_t at = set * kGuardWays;
  if (rank(*head(at + 1)) < rank(*head(at))) ++at;
  if (rank(load) <= rank(*head(at))) return;
  *row(at) = row_now;
  *head(at) = load;
}

/// Of a handshake's name only the fingerprint and the number of its set are kept. In a larger table
/// it stands in every set that the number may grow to: one is its own, the others nobody asks for.
Result<> GuardTables::take_handshakes(const OldGuard& old, const std::vector<bool>& kept) const {
  const auto from = MapMemory::of(old.handshakes);
  const auto to = MapMemory::of(maps_.guard.handshakes);
  const auto bits = MapMemory::of(maps_.guard.handshake_bits);
  for (const auto* memory : {&from, &to, &bits}) {
    if (!*memory) return tl::unexpected(memory->error());
  }
  const uint32_t sets = maps_.guard.handshakes.entries();
  const auto now = tfo_tick(now_ns());
  const auto put = [&](uint32_t set, const tfo_handshake& one) {
    tfo_handshake* way = (*to)->at<tfo_handshake_set>(set)->way;
    tfo_handshake& place = worth(way[1], now) < worth(way[0], now) ? way[1] : way[0];
    if (worth(one, now) <= worth(place, now)) return;
    place = one;
    if (tfo_handshake_state(one.word) != TFO_HANDSHAKE_SETTLED) {
      *(*bits)->at<__u64>(set / 64) |= 1ULL << (set % 64);
    }
  };
  const uint32_t old_sets = old.handshakes.entries();
  for (uint32_t set = 0; set < old_sets; ++set) {
    for (uint32_t way = 0; way < kGuardWays; ++way) {
      const tfo_handshake one = (*from)->at<tfo_handshake_set>(set)->way[way];
      if (worth(one, now).first == 0 || !is_kept(kept, one.slot)) continue;
      for (uint32_t at = set % sets; at < sets; at += old_sets) put(at, one);
    }
  }
  return {};
}

}  // namespace tfo
