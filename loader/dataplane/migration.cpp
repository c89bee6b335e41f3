// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/migration.h"

#include <algorithm>
#include <bit>
#include <map>
#include <optional>

#include "loader/dataplane/guard_carry.h"
#include "loader/dataplane/totals.h"

namespace tfo {
namespace {

namespace fs = std::filesystem;

/// The parts of a set that every layout has, to read its totals.
struct OldSet {
  Map stats;
  Map stats_base;
  Map guard_stats, guard_base;     // without entries: older ones have none
  std::vector<std::string> names;  // by slot
};

/// The offset of cell[] and the size of one reason's cells: reasons may be more or fewer.
constexpr size_t kHead = offsetof(tfo_counters, cell);
constexpr size_t kReason = sizeof(tfo_counters::cell[0]);

Result<OldSet> open_old(const fs::path& directory) {
  auto meta = read_meta(directory);
  if (!meta) return tl::unexpected(std::move(meta).error());
  auto stats = Map::open_pin("stats", directory / "stats");
  auto base = Map::open_pin("stats_base", directory / "stats_base");
  auto names = Map::open_pin("slot_names", directory / "slot_names");
  for (const auto* map : {&stats, &base, &names}) {
    if (!*map) return tl::unexpected(map->error());
  }
  const size_t size = meta->counters_size;
  if (size != stats->shape().value_size || size != kHead + meta->reasons * kReason ||
      names->shape().value_size != sizeof(tfo_slot_name)) {
    return fail("the counters in " + directory.string() + " (written by version " +
                std::string(meta->build, strnlen(meta->build, sizeof(meta->build))) +
                ") have a layout that this version cannot take over: save what you need, then "
                "`tfoctl detach` and start again from zero");
  }
  ArrayMap<tfo_slot_name> table(std::move(*names));
  auto values = table.get_range(0, std::min(table.entries(), stats->entries()));
  if (!values) return tl::unexpected(std::move(values).error());
  OldSet old{std::move(*stats), std::move(*base), {}, {}, {}};
  if (auto map = Map::open_pin("guard_stats", directory / "guard_stats")) {
    old.guard_stats = std::move(*map);
  }
  if (auto map = Map::open_pin("guard_base", directory / "guard_base")) {
    old.guard_base = std::move(*map);
  }
  for (const auto& value : *values) old.names.push_back(name_text(value));
  return old;
}

/// All names of the sets whose counts are owed; fails if one of them cannot be read. Those of the
/// set in force stand at their slots, the others behind them.
Result<std::vector<std::string>> owed_names(const PinDirectory& pins) {
  std::vector<std::string> names(1);  // the node's
  for (const auto& directory : pins.owed()) {
    auto old = open_old(directory);
    if (!old) return tl::unexpected(std::move(old).error());
    if (directory == pins.maps()) {
      names = std::move(old->names);
      while (names.size() > 1 && names.back().empty()) names.pop_back();
      continue;
    }
    for (const auto& name : old->names) {
      const bool known = std::ranges::find(names, name) != names.end();
      if (!name.empty() && !known) names.push_back(name);
    }
  }
  return names;
}

/// What one VIP counted.
struct Total {
  tfo_counters counters{};
  tfo_guard_counters guard{};
};

using Totals = std::map<std::string, Total>;  // by VIP; the node's under the empty name

Result<> add_totals(Totals& totals, const fs::path& directory, bool with_base) {
  auto old = open_old(directory);
  if (!old) return tl::unexpected(std::move(old).error());
  const auto slots = static_cast<uint32_t>(old->names.size());
  auto counted = read_totals(old->stats, with_base ? &old->stats_base : nullptr, slots);
  if (!counted) return tl::unexpected(std::move(counted).error());
  std::vector<tfo_guard_counters> guard(slots);
  if (old->guard_stats.entries() != 0) {
    const Map* base = with_base && old->guard_base.entries() != 0 ? &old->guard_base : nullptr;
    auto read = read_counters<tfo_guard_counters>(old->guard_stats, base, slots);
    if (!read) return tl::unexpected(std::move(read).error());
    guard = std::move(*read);
  }
  for (uint32_t slot = 0; slot < slots; ++slot) {
    const std::string& name = old->names[slot];
    if (slot != TFO_NODE_SLOT && name.empty()) continue;
    Total& total = totals[name];
    add_counters(total.counters, (*counted)[slot]);
    add_counters(total.guard, guard[slot]);
  }
  return {};
}

Result<> carry(const PinDirectory& pins, const LiveSet& set) {
  Totals totals;
  for (const auto& directory : pins.owed()) {
    // Layouts before the guard's have no list.
    const auto list = Map::open_pin("guard_list", directory / "guard_list");
    if (auto copied = list ? set.guard().copy_list(*list) : Result<>{}; !copied) return copied;
    // The base of a set that was never in force came from the sets that are read here anyway.
    auto added = add_totals(totals, directory, directory == pins.maps());
    if (!added) return added;
  }
  for (const auto& [name, total] : totals) {
    const auto slot =
        name.empty() ? std::optional<uint32_t>(TFO_NODE_SLOT) : set.slots().find(name);
    if (!slot) continue;
    auto written = set.maps().stats_base.set(*slot, total.counters);
    if (written) written = set.maps().guard.base.set(*slot, total.guard);
    if (!written) return written;
  }
  return {};
}

Result<std::unique_ptr<LiveSet>> adopt(const fs::path& directory, GracePeriod& grace,
                                       const SetNeeds& needs) {
  auto maps = MapSet::open_pins(directory);
  if (!maps) return tl::unexpected(std::move(maps).error());
  if (!maps->sizes().hold(needs.vips, needs.rows)) return fail("the maps are too small");
  if (maps->sizes().handshakes != needs.handshakes) {
    return fail("the guard's tables have another size");
  }
  if (!maps->sizes().hold(needs.monitor)) {
    return fail("the monitor's tables are too small, or have another size");
  }
  return LiveSet::make(std::move(*maps), grace);
}

/// A migration that an earlier process began: go on with its maps, or set them aside.
Result<std::unique_ptr<LiveSet>> resume(const PinDirectory& pins, GracePeriod& grace,
                                        const SetNeeds& needs) {
  auto set = adopt(pins.maps_new(), grace, needs);
  if (set) return set;
  // Programs may use a set only once it is ready.
  auto done = read_meta(pins.maps_new()) ? pins.set_aside() : pins.abandon();
  if (!done) return tl::unexpected(done.error());
  return nullptr;
}

}  // namespace

Result<std::unique_ptr<LiveSet>> make_set(const PinDirectory& pins, GracePeriod& grace,
                                          const MapSizes& sizes,
                                          const std::vector<std::string>& names) {
  if (sizes.slots > UINT16_MAX + 1U) return fail("more VIPs than counter slots (65535)");
  auto maps = MapSet::create(sizes);
  if (!maps) return tl::unexpected(std::move(maps).error());
  auto done = pins.begin();
  if (done) done = maps->pin(pins.maps_new());
  if (!done) return tl::unexpected(done.error());
  pins.step("new_pinned");
  auto set = LiveSet::make(std::move(*maps), grace);
  if (!set) return set;
  done = (*set)->reserve_slots(names);
  if (done && pins.has_maps()) {
    const auto old = OldGuard::find(pins.maps());
    if (old) done = (*set)->begin_guard(*old);
  }
  if (done) done = (*set)->maps().mark_ready();
  if (!done) return tl::unexpected(done.error());
  pins.step("new_ready");
  return set;
}

Result<OpenedSet> open_set(const PinDirectory& pins, GracePeriod& grace, const SetNeeds& needs) {
  auto done = pins.recover();
  if (!done) return tl::unexpected(done.error());
  OpenedSet opened;
  opened.created = !pins.has_maps();
  MapSizes sizes = MapSizes::for_config(needs.vips, needs.rows);
  sizes.handshakes = needs.handshakes;
  sizes = sizes.with(needs.monitor);
  std::vector<std::string> names;
  if (!opened.created) {
    if (pins.has_maps_new()) {
      auto set = resume(pins, grace, needs);
      if (!set) return tl::unexpected(std::move(set).error());
      opened.set = std::move(*set);
      opened.migrating = opened.set != nullptr;
    }
    if (!opened.set && pins.owed().size() == 1) {
      if (auto set = adopt(pins.maps(), grace, needs)) opened.set = std::move(*set);
    }
    if (opened.set) return opened;
    auto owed = owed_names(pins);
    if (!owed) return tl::unexpected(std::move(owed).error());
    names = std::move(*owed);
    const auto needed = std::bit_ceil(static_cast<uint32_t>(names.size() + needs.vips + 1));
    sizes.slots = std::min(std::max(sizes.slots, needed), UINT16_MAX + 1U);
  }
  auto set = make_set(pins, grace, sizes, names);
  if (!set) return tl::unexpected(std::move(set).error());
  opened.set = std::move(*set);
  opened.migrating = !opened.created;
  if (opened.created) done = pins.commit();
  if (!done) return tl::unexpected(done.error());
  return opened;
}

Result<> take_loads(const PinDirectory& pins, LiveSet& set) {
  auto opened = OldGuard::open(pins.maps());
  if (!opened) return {};
  const std::optional<OldGuard> old = std::move(*opened);
  return old ? set.take_loads(*old) : Result<>{};
}

Result<> finish_migration(const PinDirectory& pins, GracePeriod& grace, const LiveSet& set) {
  auto done = grace.wait();
  pins.step("grace");
  if (done) done = carry(pins, set);
  pins.step("carried");
  if (done) done = pins.commit();
  return done;
}

}  // namespace tfo
