// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/xdp_load.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "bpf/settings.h"
#include "bpf/vip_hash.h"
#include "tfo_xdp.skel.h"

namespace tfo::test {
namespace {

constexpr uint32_t kSlots = 64;
constexpr uint32_t kRows = 16384;
constexpr uint32_t kCells = sizeof(tfo_counters::cell) / sizeof(uint64_t);

size_t control_size() {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (sizeof(tfo_control) + page - 1) / page * page;
}

bpf_object* open_object() {
  if (const char* path = std::getenv("TFO_BPF_OBJECT")) return bpf_object__open_file(path, nullptr);
  size_t size = 0;
  const void* bytes = tfo_xdp__elf_bytes(&size);
  LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "tfo_xdp");
  return bpf_object__open_mem(bytes, size, &opts);
}

/// How the guard's tables are sized, see bpf/maps.h; 0: not one of them.
uint32_t handshakes_per_entry(std::string_view map) {
  if (map == "handshakes") return 2;
  if (map == "handshake_bits") return 128;
  if (map == "guard_heads") return 16;
  if (map == "guard_rows") return 8;
  return map == "retries" ? 4 : 0;
}

/// How the monitor's tables are sized; 0: not one of them.
uint32_t monitor_entries(std::string_view map, uint32_t lines) {
  if (map == "bloom") return TFO_BLOOM_FILTERS * lines;
  if (map == "monitor_stats" || map == "reflectors") return kSlots;
  if (map == "cells") return TFO_PREFIX_CELLS;
  if (map == "net_stats" || map == "hit_maps") return TFO_PREFIX_CELLS / 256;
  if (map == "subnets") return TFO_SUBNETS;
  if (map == "recent" || map == "sent") return 65536;
  return map == "samples" ? 1U << 20 : 0;
}

/// The one cell that moved between two sets of counters.
Result<std::optional<Verdict>> moved(const std::vector<tfo_counters>& before,
                                     const std::vector<tfo_counters>& after) {
  std::optional<Verdict> found;
  for (uint32_t slot = 0; slot < after.size(); slot++) {
    if (std::memcmp(&before[slot], &after[slot], sizeof(tfo_counters)) == 0) continue;
    for (uint32_t cell = 0; cell < kCells; cell++) {
      const uint32_t reason = cell / (TFO_OPTION_KINDS * 2);
      const uint32_t option = cell / 2 % TFO_OPTION_KINDS;
      const uint64_t delta =
          after[slot].cell[reason][option][cell % 2] - before[slot].cell[reason][option][cell % 2];
      if (delta == 0) continue;
      if (delta != 1 || found) return fail("one packet moved more than one count");
      found = Verdict{static_cast<tfo_reason>(reason), option, cell % 2 != 0, slot};
    }
  }
  return found;
}

/// Which action the one packet moved; none: it passed.
Result<> moved_actions(const tfo_counters& before, const tfo_counters& after, Treatment& treated) {
  for (uint32_t action = 0; action < TFO_ACTION_COUNT; action++) {
    const uint64_t done = after.action[action] - before.action[action];
    const uint64_t would = after.would[action] - before.would[action];
    if (done > 1 || would > 1 || (action == TFO_PASS && done + would != 0)) {
      return fail("one packet moved more than one action, or counted that it passed");
    }
    if (done == 1) treated.action = action;
    if (would == 1) treated.would = action;
  }
  return {};
}

}  // namespace

Result<XdpUnderTest> XdpUnderTest::load(const tfo_load_config& config, const LoadSizes& sizes) {
  XdpUnderTest xdp;
  xdp.object_.reset(open_object());
  if (!xdp.object_) return fail_errno("opening the BPF object");
  xdp.count_other_ = config.count_other != 0;
  bpf_object* object = xdp.object_.get();
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    const std::string_view name = bpf_map__name(map);
    if (name.ends_with(".rodata")) {
      if (bpf_map__set_initial_value(map, &config, sizeof(config)) != 0)
        return fail_errno("setting the load configuration");
    } else if (name == "stats" || name == "stats_base" || name == "slot_names" ||
               name == "triggers") {
      bpf_map__set_max_entries(map, kSlots);
    } else if (name == "policies") {
      bpf_map__set_max_entries(map, 2 * kSlots);
    } else if (const uint32_t share = handshakes_per_entry(name); share != 0) {
      bpf_map__set_max_entries(map, sizes.handshakes / share);
    } else if (const uint32_t entries = monitor_entries(name, sizes.bloom_lines);
               entries != 0 && sizes.bloom_lines != 0) {
      bpf_map__set_max_entries(map, entries);
    } else if (name == "rings" && sizes.rings != 0) {
      bpf_map__set_max_entries(map, sizes.rings);
    }
  }
  if (const int err = bpf_object__load(object); err != 0)
    return fail_errno("loading the BPF object", err);
  if (auto mapped = xdp.map_control(); !mapped) return tl::unexpected(mapped.error());
  xdp.control_->vip_mask = kRows - 1;
  xdp.control_->handshake_mask = sizes.handshakes / 2 - 1;
  xdp.control_->head_mask = sizes.handshakes / 16 - 1;
  xdp.control_->retry_mask = sizes.handshakes / 4 - 1;
  xdp.control_->sample_budget = TFO_SAMPLE_BUDGET;
  if (sizes.bloom_lines != 0) xdp.control_->bloom_mask = sizes.bloom_lines - 1;
  xdp.control_->hash_seed[0] = 0x0123456789abcdefULL;
  // Not the negative of the other: sums of products with both would cancel out.
  xdp.control_->hash_seed[1] = 0xc3a5c85c97cb3127ULL;
  return xdp;
}

Result<> XdpUnderTest::map_control() {
  void* at =
      mmap(nullptr, control_size(), PROT_READ | PROT_WRITE, MAP_SHARED, map_fd(".data.ctl"), 0);
  if (at == MAP_FAILED) return fail_errno("mapping the control section");
  control_.reset(static_cast<tfo_control*>(at), [](tfo_control* p) { munmap(p, control_size()); });
  return {};
}

int XdpUnderTest::map_fd(const char* name) const {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_.get()) {
    if (std::string_view(bpf_map__name(map)) == name) return bpf_map__fd(map);
  }
  return -1;
}

int XdpUnderTest::program_fd() const {
  return bpf_program__fd(bpf_object__find_program_by_name(object_.get(), "tfo_xdp"));
}

Result<> XdpUnderTest::set_vips(const std::vector<VipRow>& rows) {
  const uint32_t side = 1 - control_->vip_side;
  const int fd = map_fd("vips");
  std::vector<tfo_vip> table(kRows);
  for (const VipRow& row : rows) {
    tfo_vip_key key{};
    std::memcpy(&key.high, row.address.data(), 8);
    std::memcpy(&key.low, row.address.data() + 8, 8);
    key.port = htons(row.port);
    const uint64_t hash = tfo_vip_hash(&key, control_->hash_seed);
    uint32_t at = static_cast<uint32_t>(hash) & (kRows - 1);
    if (table[at].flags != 0) at = static_cast<uint32_t>(hash >> 32) & (kRows - 1);
    if (table[at].flags != 0) return fail("too many VIPs for a test table");
    tfo_vip& vip = table[at];
    std::memcpy(vip.address, row.address.data(), sizeof(vip.address));
    vip.port = htons(row.port);
    vip.slot = row.slot;
    slots_ = std::min(kSlots, std::max(slots_, row.slot + 1U));
    vip.pool = row.pool;
    vip.mode = row.mode;
    vip.canary = row.canary;
    vip.flags = TFO_VIP_USED | row.flags;
  }
  for (uint32_t i = 0; i < kRows; i++) {
    const uint32_t index = side * kRows + i;
    if (bpf_map_update_elem(fd, &index, &table[i], BPF_ANY) != 0) return fail_errno("vips");
  }
  control_->vip_side = side;
  return {};
}

Result<> XdpUnderTest::set_ring(uint16_t pool, const tfo_ring& ring) {
  const uint32_t side = 1 - control_->pool_side[pool];
  const uint32_t index = pool * 2U + side;
  if (bpf_map_update_elem(map_fd("rings"), &index, &ring, BPF_ANY) != 0) return fail_errno("rings");
  control_->pool_side[pool] = side;
  return {};
}

Result<> XdpUnderTest::set_policy(uint16_t slot, const tfo_policy& policy) {
  for (const unsigned flags : {0, TFO_VIP_SECOND}) {
    const uint32_t index = tfo_settings_index(slot, flags);
    if (bpf_map_update_elem(map_fd("policies"), &index, &policy, BPF_ANY) != 0)
      return fail_errno("policies");
  }
  return {};
}

Result<> XdpUnderTest::set_trigger(uint16_t slot, const tfo_trigger& trigger) {
  const uint32_t index = slot;
  if (bpf_map_update_elem(map_fd("triggers"), &index, &trigger, BPF_ANY) != 0)
    return fail_errno("triggers");
  return {};
}

Result<tfo_trigger> XdpUnderTest::trigger(uint16_t slot) const {
  const uint32_t index = slot;
  tfo_trigger trigger{};
  if (bpf_map_lookup_elem(map_fd("triggers"), &index, &trigger) != 0) return fail_errno("triggers");
  return trigger;
}

void XdpUnderTest::set_now(uint64_t now_ns) { control_->now_ns = now_ns; }

Result<std::vector<tfo_counters>> XdpUnderTest::counters(uint32_t count) const {
  count = std::min(count, kSlots);
  const int cpus = libbpf_num_possible_cpus();
  std::vector<tfo_counters> sums(count);
  std::vector<tfo_counters> values(static_cast<size_t>(cpus) * count);
  std::vector<uint32_t> slots(count);
  // One call for all of them: this is most of what a case costs.
  uint32_t next = 0, read = count;
  const int err = bpf_map_lookup_batch(map_fd("stats"), nullptr, &next, slots.data(), values.data(),
                                       &read, nullptr);
  if (read != count) return fail_errno("stats", err);
  const auto* from = reinterpret_cast<const uint64_t*>(values.data());
  for (const uint32_t slot : slots) {
    auto* sum = reinterpret_cast<uint64_t*>(&sums[slot]);
    for (int cpu = 0; cpu < cpus; cpu++, from += sizeof(tfo_counters) / 8) {
      for (size_t i = 0; i < sizeof(tfo_counters) / 8; i++) sum[i] += from[i];
    }
  }
  return sums;
}

Result<Verdict> XdpUnderTest::run(std::span<const uint8_t> frame, uint32_t linear) {
  auto treated = treat(frame, linear);
  if (!treated) return tl::unexpected(treated.error());
  return treated->verdict;
}

Result<Treatment> XdpUnderTest::treat(std::span<const uint8_t> frame, uint32_t linear) {
  Treatment treatment{.verdict = {TFO_OTHER}, .left = std::vector<uint8_t>(frame.size() + 64)};
  const auto before = counters(slots_);
  if (!before) return tl::unexpected(before.error());
  LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(), .data_out = treatment.left.data(),
              .data_size_in = static_cast<uint32_t>(frame.size()),
              .data_size_out = static_cast<uint32_t>(treatment.left.size()), .repeat = 1);
  xdp_md context{};
  if (linear != 0) {
    context.data_end = linear;
    opts.ctx_in = &context;
    opts.ctx_size_in = sizeof(context);
  }
  if (const int err = bpf_prog_test_run_opts(program_fd(), &opts); err != 0)
    return fail_errno(fmt::format("BPF_PROG_TEST_RUN of {} bytes", frame.size()), err);
  const auto after = counters(slots_);
  if (!after) return tl::unexpected(after.error());
  const auto verdict = moved(*before, *after);
  if (!verdict) return tl::unexpected(verdict.error());
  if (!*verdict && count_other_) return fail("no counter moved");
  treatment.left.resize(opts.data_size_out);
  treatment.verdict = verdict->value_or(treatment.verdict);
  const uint32_t slot = treatment.verdict.slot;
  if (auto counted = moved_actions((*before)[slot], (*after)[slot], treatment); !counted) {
    return tl::unexpected(counted.error());
  }
  const uint32_t wanted = treatment.action == TFO_DROP ? XDP_DROP : XDP_PASS;
  if (opts.retval != wanted) {
    return fail(fmt::format("action {} of the program, not {}", opts.retval, wanted));
  }
  return treatment;
}

Result<double> XdpUnderTest::time(std::span<const uint8_t> frame, uint32_t repeat) {
  LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(),
              .data_size_in = static_cast<uint32_t>(frame.size()),
              .repeat = static_cast<int>(repeat));
  if (const int err = bpf_prog_test_run_opts(program_fd(), &opts); err != 0)
    return fail_errno("BPF_PROG_TEST_RUN", err);
  return static_cast<double>(opts.duration);
}

}  // namespace tfo::test
