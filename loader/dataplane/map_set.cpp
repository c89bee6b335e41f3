// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/map_set.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <ctime>
#include <functional>
#include <map>

namespace tfo {
namespace {

namespace fs = std::filesystem;
using Maps = std::map<std::string, Map, std::less<>>;

constexpr const char* kPoolNames = "pool_names";
constexpr uint32_t kRecent = 65536;           // TFO_RECENT of bpf/maps.h
constexpr uint32_t kSamplesBytes = 1U << 20;  // half a second of samples of one CPU

uint32_t page_size() { return static_cast<uint32_t>(sysconf(_SC_PAGESIZE)); }

struct Declared {
  const char* pin;
  bpf_map* decltype(tfo_xdp::maps)::* member;
};

/// Pins have no dots: bpffs reserves them (bpf_lookup() in kernel/bpf/inode.c).
constexpr Declared kDeclared[] = {
    {"vips", &decltype(tfo_xdp::maps)::vips},
    {"rings", &decltype(tfo_xdp::maps)::rings},
    {"stats", &decltype(tfo_xdp::maps)::stats},
    {"stats_base", &decltype(tfo_xdp::maps)::stats_base},
    {"slot_names", &decltype(tfo_xdp::maps)::slot_names},
    {"policies", &decltype(tfo_xdp::maps)::policies},
    {"triggers", &decltype(tfo_xdp::maps)::triggers},
    {"meta", &decltype(tfo_xdp::maps)::meta},
    {"clock", &decltype(tfo_xdp::maps)::clock},
    {"control", &decltype(tfo_xdp::maps)::data_ctl},
    {"handshake_bits", &decltype(tfo_xdp::maps)::handshake_bits},
    {"handshakes", &decltype(tfo_xdp::maps)::handshakes},
    {"guard_heads", &decltype(tfo_xdp::maps)::guard_heads},
    {"guard_rows", &decltype(tfo_xdp::maps)::guard_rows},
    {"retries", &decltype(tfo_xdp::maps)::retries},
    {"guards", &decltype(tfo_xdp::maps)::guards},
    {"guard_vips", &decltype(tfo_xdp::maps)::guard_vips},
    {"guard_stats", &decltype(tfo_xdp::maps)::guard_stats},
    {"guard_base", &decltype(tfo_xdp::maps)::guard_base},
    {"guard_list", &decltype(tfo_xdp::maps)::guard_list},
    {"guard_events", &decltype(tfo_xdp::maps)::guard_events},
    {"targets", &decltype(tfo_xdp::maps)::targets},
    {"bloom", &decltype(tfo_xdp::maps)::bloom},
    {"bloom_sources", &decltype(tfo_xdp::maps)::bloom_sources},
    {"heavy_sources", &decltype(tfo_xdp::maps)::heavy_sources},
    {"monitor_stats", &decltype(tfo_xdp::maps)::monitor_stats},
    {"reflectors", &decltype(tfo_xdp::maps)::reflectors},
    {"monitor_cpus", &decltype(tfo_xdp::maps)::monitor_cpus},
    {"cells", &decltype(tfo_xdp::maps)::cells},
    {"net_stats", &decltype(tfo_xdp::maps)::net_stats},
    {"hit_maps", &decltype(tfo_xdp::maps)::hit_maps},
    {"subnets", &decltype(tfo_xdp::maps)::subnets},
    {"recent", &decltype(tfo_xdp::maps)::recent},
    {"sent", &decltype(tfo_xdp::maps)::sent},
    {"samples", &decltype(tfo_xdp::maps)::samples},
};

MapShape declared_shape(const bpf_map* map) {
  return {bpf_map__type(map), bpf_map__key_size(map), bpf_map__value_size(map),
          bpf_map__max_entries(map)};
}

Result<Map> create_pool_names() {
  Fd fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "tfo_pool_names", sizeof(uint32_t),
                       sizeof(tfo_slot_name), TFO_MAX_POOLS, nullptr));
  if (!fd) return fail_errno("cannot create map pool_names");
  return Map::adopt(kPoolNames, std::move(fd));
}

Result<MapSet> assemble(Maps maps) {
  auto take = [&maps](const char* name) { return std::move(maps.find(name)->second); };
  auto control = ControlMap::map(take("control"));
  if (!control) return tl::unexpected(std::move(control).error());
  return MapSet{.vips = ArrayMap<tfo_vip>(take("vips")),
                .rings = ArrayMap<tfo_ring>(take("rings")),
                .stats = take("stats"),
                .stats_base = ArrayMap<tfo_counters>(take("stats_base")),
                .slot_names = ArrayMap<tfo_slot_name>(take("slot_names")),
                .policies = ArrayMap<tfo_policy>(take("policies")),
                .triggers = ArrayMap<tfo_trigger>(take("triggers")),
                .pool_names = ArrayMap<tfo_slot_name>(take(kPoolNames)),
                .meta = ArrayMap<tfo_meta>(take("meta")),
                .clock = take("clock"),
                .control = std::move(*control),
                .guard = {.handshake_bits = take("handshake_bits"),
                          .handshakes = take("handshakes"),
                          .heads = take("guard_heads"),
                          .rows = take("guard_rows"),
                          .retries = take("retries"),
                          .settings = ArrayMap<tfo_guard>(take("guards")),
                          .vips = ArrayMap<tfo_guard_vip>(take("guard_vips")),
                          .stats = take("guard_stats"),
                          .base = ArrayMap<tfo_guard_counters>(take("guard_base")),
                          .list = take("guard_list"),
                          .events = take("guard_events")},
                .monitor = {.targets = take("targets"),
                            .bloom = take("bloom"),
                            .sources = take("bloom_sources"),
                            .heavy = take("heavy_sources"),
                            .stats = take("monitor_stats"),
                            .reflectors = take("reflectors"),
                            .cpus = take("monitor_cpus"),
                            .cells = take("cells"),
                            .net_stats = take("net_stats"),
                            .hit_maps = take("hit_maps"),
                            .subnets = take("subnets"),
                            .recent = take("recent"),
                            .sent = take("sent"),
                            .samples = take("samples")}};
}

Result<> set_sizes(tfo_xdp& skeleton, const MapSizes& sizes) {
  const auto& maps = skeleton.maps;
  const std::pair<bpf_map*, uint32_t> sized[] = {
      {maps.vips, 2 * sizes.vip_rows},
      {maps.stats, sizes.slots},
      {maps.stats_base, sizes.slots},
      {maps.slot_names, sizes.slots},
      {maps.policies, 2 * sizes.slots},
      {maps.triggers, sizes.slots},
      {maps.guards, 2 * sizes.slots},
      {maps.guard_vips, sizes.slots},
      {maps.guard_stats, sizes.slots},
      {maps.guard_base, sizes.slots},
      {maps.handshake_bits, sizes.handshakes / 128},
      {maps.handshakes, sizes.handshakes / 2},
      {maps.guard_heads, sizes.handshakes / 16},
      {maps.guard_rows, sizes.handshakes / 8},
      {maps.retries, sizes.handshakes / 4},
      {maps.bloom, std::max<uint32_t>(1, TFO_BLOOM_FILTERS * sizes.bloom_lines)},
      {maps.monitor_stats, sizes.subjects},
      {maps.reflectors, sizes.subjects},
      {maps.cells, sizes.each_address ? TFO_PREFIX_CELLS : 1},
      {maps.net_stats, sizes.each_address ? TFO_PREFIX_CELLS / 256 : 1},
      {maps.hit_maps, sizes.each_address ? TFO_PREFIX_CELLS / 256 : 1},
      {maps.subnets, sizes.each_address ? TFO_SUBNETS : 1},
      {maps.recent, sizes.subjects > 1 ? kRecent : 1},
      {maps.sent, sizes.subjects > 1 ? kRecent : 1},
      {maps.samples, sizes.subjects > 1 ? kSamplesBytes : page_size()},
  };
  int error = 0;
  for (const auto& [map, entries] : sized) {
    if (error == 0) error = bpf_map__set_max_entries(map, entries);
  }
  if (error != 0) return fail_errno("cannot size the maps", error);
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton.obj) { bpf_program__set_autoload(program, false); }
  return {};
}

/// The descriptors outlive the skeleton that created the maps.
Result<Maps> take_maps(const tfo_xdp& skeleton) {
  Maps maps;
  for (const auto& declared : kDeclared) {
    const int fd = bpf_map__fd(skeleton.maps.*declared.member);
    auto map = Map::adopt(declared.pin, Fd(fcntl(fd, F_DUPFD_CLOEXEC, 3)));
    if (!map) return tl::unexpected(std::move(map).error());
    maps.emplace(declared.pin, std::move(*map));
  }
  auto pools = create_pool_names();
  if (!pools) return tl::unexpected(std::move(pools).error());
  maps.emplace(kPoolNames, std::move(*pools));
  return maps;
}

/// Sizes chosen at creation may differ from the declaration, nothing else may.
bool fits(std::string_view pin, MapShape found, MapShape wanted) {
  constexpr std::string_view kFixed[] = {
      "rings",        "meta",    "clock",         "control",       "guard_list",
      "guard_events", "targets", "bloom_sources", "heavy_sources", "monitor_cpus"};
  if (std::ranges::find(kFixed, pin) == std::end(kFixed)) wanted.max_entries = found.max_entries;
  return found == wanted;
}

uint64_t boot_ns() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

MapSizes MapSizes::for_config(size_t vips, size_t rows) {
  MapSizes sizes;
  sizes.slots = std::bit_ceil(static_cast<uint32_t>(std::max<size_t>(64, 2 * vips)));
  sizes.vip_rows = std::bit_ceil(static_cast<uint32_t>(std::max<size_t>(16384, 3 * rows)));
  return sizes;
}

bool MapSizes::hold(const MonitorRoom& monitor) const {
  return (monitor.subjects == 0 || monitor.subjects < subjects) &&
         (monitor.bloom_lines == 0 || monitor.bloom_lines == bloom_lines) &&
         (each_address || !monitor.each_address);
}

MapSizes MapSizes::with(const MonitorRoom& monitor) const {
  MapSizes sizes = *this;
  if (monitor.subjects != 0) {
    const auto needed = std::bit_ceil(static_cast<uint32_t>(monitor.subjects + 1));
    sizes.subjects = std::min(std::max({subjects, needed, uint32_t{64}}), UINT16_MAX + 1U);
  }
  if (monitor.bloom_lines != 0) sizes.bloom_lines = monitor.bloom_lines;
  sizes.each_address = each_address || monitor.each_address;
  return sizes;
}

Result<std::array<__u64, 2>> new_seed() {
  std::array<__u64, 2> seed{};
  if (getrandom(seed.data(), sizeof(seed), 0) != sizeof(seed)) return fail_errno("getrandom");
  return seed;
}

Result<MapSet> MapSet::create(const MapSizes& sizes) {
  auto skeleton = XdpSkeleton::open();
  if (!skeleton) return tl::unexpected(std::move(skeleton).error());
  auto sized = set_sizes(**skeleton, sizes);
  if (!sized) return tl::unexpected(sized.error());
  auto loaded = skeleton->load();
  if (!loaded) return tl::unexpected(loaded.error());
  auto maps = take_maps(**skeleton);
  if (!maps) return tl::unexpected(std::move(maps).error());
  auto set = assemble(std::move(*maps));
  if (!set) return set;
  auto seed = new_seed();
  if (!seed) return tl::unexpected(seed.error());
  set->control.set_table(seed->data(), sizes);
  set->control.set_now_ns(boot_ns());
  return set;
}

Result<MapSet> MapSet::open_pins(const fs::path& directory) {
  auto meta = read_meta(directory);
  if (!meta) return tl::unexpected(meta.error());
  if (meta->abi != TFO_ABI_VERSION || meta->counters_size != sizeof(tfo_counters) ||
      meta->guard_layout != TFO_GUARD_LAYOUT) {
    return fail("the maps of " + directory.string() + " have ABI " + std::to_string(meta->abi) +
                " and guard layout " + std::to_string(meta->guard_layout) + ", this version has " +
                std::to_string(TFO_ABI_VERSION) + " and " + std::to_string(TFO_GUARD_LAYOUT));
  }
  auto skeleton = XdpSkeleton::open();
  if (!skeleton) return tl::unexpected(std::move(skeleton).error());
  Maps maps;
  for (const auto& declared : kDeclared) {
    auto map = Map::open_pin(declared.pin, directory / declared.pin);
    if (!map) return tl::unexpected(std::move(map).error());
    if (!fits(declared.pin, map->shape(), declared_shape((*skeleton)->maps.*declared.member))) {
      return fail("the map " + (directory / declared.pin).string() + " has another layout");
    }
    maps.emplace(declared.pin, std::move(*map));
  }
  auto pools = Map::open_pin(kPoolNames, directory / kPoolNames);
  if (!pools) return tl::unexpected(std::move(pools).error());
  maps.emplace(kPoolNames, std::move(*pools));
  return assemble(std::move(maps));
}

Result<> MapSet::pin(const fs::path& directory) const {
  for (const Map* map : all()) {
    const fs::path path = directory / map->name();
    if (bpf_obj_pin(map->fd(), path.c_str()) != 0) {
      return fail_errno("cannot pin " + path.string());
    }
  }
  return {};
}

std::vector<const Map*> MapSet::all() const {
  return {&vips.raw(),
          &rings.raw(),
          &stats,
          &stats_base.raw(),
          &slot_names.raw(),
          &policies.raw(),
          &triggers.raw(),
          &pool_names.raw(),
          &meta.raw(),
          &clock,
          &control.raw(),
          &guard.rows,
          &guard.handshake_bits,
          &guard.handshakes,
          &guard.heads,
          &guard.settings.raw(),
          &guard.vips.raw(),
          &guard.stats,
          &guard.base.raw(),
          &guard.list,
          &guard.events,
          &guard.retries,
          &monitor.targets,
          &monitor.bloom,
          &monitor.sources,
          &monitor.heavy,
          &monitor.stats,
          &monitor.reflectors,
          &monitor.cpus,
          &monitor.cells,
          &monitor.net_stats,
          &monitor.hit_maps,
          &monitor.subnets,
          &monitor.recent,
          &monitor.sent,
          &monitor.samples};
}

Result<> MapSet::share_with(bpf_object* object) const {
  for (const Map* from : all()) {
    const std::string name = from == &control.raw() ? ".data.ctl" : from->name();
    bpf_map* to = bpf_object__find_map_by_name(object, name.c_str());
    if (to == nullptr) continue;  // user space's own
    const int error = bpf_map__reuse_fd(to, from->fd());
    if (error != 0) return fail_errno("cannot share map " + from->name(), error);
  }
  return {};
}

Result<> MapSet::mark_ready() const {
  tfo_meta value{};
  value.abi = TFO_ABI_VERSION;
  value.reasons = TFO_REASON_COUNT;
  value.slots = stats.entries();
  value.counters_size = sizeof(tfo_counters);
  value.guard_layout = TFO_GUARD_LAYOUT;
  std::strncpy(value.build, TFO_VERSION, sizeof(value.build) - 1);
  return meta.set(0, value);
}

MapSizes MapSet::sizes() const {
  return {.slots = stats.entries(),
          .vip_rows = vips.entries() / 2,
          .handshakes = 2 * guard.handshakes.entries(),
          .subjects = monitor.stats.entries(),
          .bloom_lines = monitor.bloom.entries() / TFO_BLOOM_FILTERS,
          .each_address = monitor.cells.entries() > 1};
}

Result<tfo_meta> read_meta(const fs::path& directory) {
  auto map = Map::open_pin("meta", directory / "meta");
  if (!map) return tl::unexpected(std::move(map).error());
  // A later layout may be longer; the fields known here stand first.
  std::vector<uint8_t> raw(std::max(map->raw_size(), sizeof(tfo_meta)));
  auto read = map->read(0, raw.data());
  if (!read) return tl::unexpected(read.error());
  tfo_meta meta{};
  std::memcpy(&meta, raw.data(), sizeof(meta));
  if (meta.abi == 0) return fail("the maps of " + directory.string() + " were never completed");
  return meta;
}

}  // namespace tfo
