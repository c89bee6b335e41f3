// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/map_set.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>

#include <algorithm>
#include <atomic>
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
                          .events = take("guard_events")}};
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
  constexpr std::string_view kFixed[] = {"rings",   "meta",       "clock",
                                         "control", "guard_list", "guard_events"};
  if (std::ranges::find(kFixed, pin) == std::end(kFixed)) wanted.max_entries = found.max_entries;
  return found == wanted;
}

uint64_t boot_ns() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<uint64_t>(now.tv_nsec);
}

size_t page_rounded(size_t size) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (size + page - 1) / page * page;
}

}  // namespace

MapSizes MapSizes::for_config(size_t vips, size_t rows) {
  MapSizes sizes;
  sizes.slots = std::bit_ceil(static_cast<uint32_t>(std::max<size_t>(64, 2 * vips)));
  sizes.vip_rows = std::bit_ceil(static_cast<uint32_t>(std::max<size_t>(16384, 3 * rows)));
  return sizes;
}

Result<ControlMap> ControlMap::map(Map control) {
  void* memory = mmap(nullptr, page_rounded(sizeof(tfo_control)), PROT_READ | PROT_WRITE,
                      MAP_SHARED, control.fd(), 0);
  if (memory == MAP_FAILED) return fail_errno("cannot map the control map into memory");
  return ControlMap(std::move(control), static_cast<tfo_control*>(memory));
}

void ControlMap::Unmap::operator()(tfo_control* memory) const {
  munmap(memory, page_rounded(sizeof(tfo_control)));
}

uint64_t ControlMap::now_ns() const {
  return std::atomic_ref<__u64>(memory_->now_ns).load(std::memory_order_acquire);
}

void ControlMap::set_now_ns(uint64_t now) const {
  std::atomic_ref<__u64>(memory_->now_ns).store(now, std::memory_order_release);
}

uint32_t ControlMap::vip_side() const {
  return std::atomic_ref<__u32>(memory_->vip_side).load(std::memory_order_acquire) & 1;
}

void ControlMap::set_vip_side(uint32_t side) const {
  std::atomic_ref<__u32>(memory_->vip_side).store(side, std::memory_order_release);
}

uint32_t ControlMap::pool_side(uint32_t pool) const {
  return std::atomic_ref<__u32>(memory_->pool_side[pool]).load(std::memory_order_acquire) & 1;
}

void ControlMap::set_pool_side(uint32_t pool, uint32_t side) const {
  std::atomic_ref<__u32>(memory_->pool_side[pool]).store(side, std::memory_order_release);
}

void ControlMap::set_guard_list(uint32_t count) const {
  std::atomic_ref<__u32>(memory_->guard_list).store(count, std::memory_order_release);
}

uint32_t ControlMap::guard_list() const {
  return std::atomic_ref<__u32>(memory_->guard_list).load(std::memory_order_acquire);
}

void ControlMap::set_table(const __u64 seed[2], const MapSizes& sizes) const {
  memory_->hash_seed[0] = seed[0];
  memory_->hash_seed[1] = seed[1];
  memory_->vip_mask = sizes.vip_rows - 1;
  memory_->handshake_mask = sizes.handshakes / 2 - 1;
  memory_->head_mask = sizes.handshakes / 16 - 1;
  memory_->retry_mask = sizes.handshakes / 4 - 1;
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
          &guard.retries};
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
  return {stats.entries(), vips.entries() / 2, 2 * guard.handshakes.entries()};
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
