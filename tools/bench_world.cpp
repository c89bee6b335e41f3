// SPDX-License-Identifier: BSD-2-Clause
#include "tools/bench_world.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/mman.h>

#include <cstring>
#include <memory>

#include "bpf/cookie.h"
#include "bpf/settings.h"
#include "loader/dataplane/libbpf_log.h"
#include "loader/dataplane/map.h"
#include "loader/dataplane/vip_table.h"
#include "loader/keys/key.h"
#include "tools/bench_measure.h"

namespace tfo {

namespace {

constexpr uint32_t kRows = 32768;  // of one side of the VIP table: less than a third is used
constexpr uint32_t kAllVips = BenchWorld::kVips + BenchWorld::kDemoting;
constexpr uint32_t kSlots = kAllVips + 1;
constexpr uint32_t kAnyPortEach = 4;  // every so manieth VIP has no port of its own
constexpr uint16_t kPort = 443;

uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
  return x ^ x >> 31;
}

void put32(uint8_t* at, uint32_t value) {
  value = htonl(value);
  std::memcpy(at, &value, sizeof(value));
}

std::array<uint8_t, 16> mapped(uint32_t address) {
  std::array<uint8_t, 16> bytes{};
  bytes[10] = bytes[11] = 0xff;
  put32(&bytes[12], address);
  return bytes;
}

/// The networks set aside for measuring: 198.18.0.0/15 (RFC 2544) and 2001:2::/48 (RFC 5180).
std::array<uint8_t, 16> vip_address(int family, uint32_t vip) {
  if (family == 4) return mapped(0xc6120000U + vip);
  std::array<uint8_t, 16> bytes = {0x20, 0x01, 0x00, 0x02};
  put32(&bytes[12], vip);
  return bytes;
}

std::array<uint8_t, 16> client_address(int family, uint32_t index) {
  const uint32_t host = index * 0x9e3779b1U & 0xffffff;  // odd factor: no two alike
  if (family == 4) return mapped(0x0a000000U + host);
  std::array<uint8_t, 16> bytes = {0x20, 0x01, 0x00, 0x02, 0x00, 0x00, 0x00, 0x01};
  put32(&bytes[8], static_cast<uint32_t>(mix(index)));
  put32(&bytes[12], host);
  return bytes;
}

/// The same, each in a network of its own (2^24 of them, /24 or /48).
std::array<uint8_t, 16> client_elsewhere(int family, uint32_t index) {
  const uint32_t network = index * 0x9e3779b1U & 0xffffff;
  if (family == 4) return mapped(network << 8 | 1);
  std::array<uint8_t, 16> bytes = {0x20, 0x01};
  put32(&bytes[2], network);
  bytes[15] = 1;
  return bytes;
}

tfo_flow flow_of(const BenchSegment& segment) {
  tfo_flow flow{};
  flow.family = static_cast<__u8>(segment.family);
  const size_t length = segment.family == 4 ? 4 : 16;
  auto* bytes = reinterpret_cast<uint8_t*>(flow.word);
  std::memcpy(bytes, segment.source.data() + 16 - length, length);
  std::memcpy(bytes + length, segment.destination.data() + 16 - length, length);
  return flow;
}

}  // namespace

BenchWorld::BenchWorld(BenchWorld&& other) noexcept
    : tfo_(std::move(other.tfo_)),
      guarded_(std::move(other.guarded_)),
      chosen_(other.chosen_),
      monitor_(std::move(other.monitor_)),
      bench_(std::move(other.bench_)),
      packets_(other.packets_),
      table_(std::exchange(other.table_, nullptr)),
      rings_(std::move(other.rings_)) {}

BenchWorld::~BenchWorld() {
  if (table_ != nullptr) munmap(table_, size_t{packets_} * sizeof(*table_));
}

Result<BenchWorld> BenchWorld::load(uint32_t packets) {
  route_libbpf_log();
  auto tfo = XdpSkeleton::open();
  if (!tfo) return tl::unexpected<Error>(tfo.error());
  auto guarded = XdpSkeleton::open();
  if (!guarded) return tl::unexpected<Error>(guarded.error());
  auto bench = Skeleton<tfo_bench>::open();
  if (!bench) return tl::unexpected<Error>(bench.error());
  BenchWorld world(std::move(*tfo), std::move(*guarded), std::move(*bench), packets);
  for (auto step : {&BenchWorld::load_tfo, &BenchWorld::load_guarded, &BenchWorld::load_monitor,
                    &BenchWorld::fill_vips, &BenchWorld::fill_rings, &BenchWorld::load_bench}) {
    if (auto done = (world.*step)(); !done) return tl::unexpected<Error>(done.error());
  }
  return world;
}

Result<> BenchWorld::load_tfo() {
  bpf_map__set_max_entries(tfo_->maps.vips, 2 * kRows);
  for (bpf_map* map :
       {tfo_->maps.stats, tfo_->maps.triggers, tfo_->maps.guard_vips, tfo_->maps.guard_stats}) {
    bpf_map__set_max_entries(map, kSlots);
  }
  for (bpf_map* map : {tfo_->maps.policies, tfo_->maps.guards}) {
    bpf_map__set_max_entries(map, 2 * kSlots);
  }
  if (auto sized = MonitorTables::size(tfo_, kVips); !sized) return sized;
  if (auto loaded = tfo_.load(); !loaded) return loaded;
  tfo_control& control = tfo_->data_ctl->tfo_ctl;
  control.vip_mask = kRows - 1;
  control.handshake_mask = bpf_map__max_entries(tfo_->maps.handshakes) - 1;
  control.head_mask = bpf_map__max_entries(tfo_->maps.guard_heads) - 1;
  control.retry_mask = bpf_map__max_entries(tfo_->maps.retries) - 1;
  control.hash_seed[0] = mix(1);
  control.hash_seed[1] = mix(2);
  control.now_ns = 1;
  return {};
}

/// Limits that nothing reaches, so that every SYN opens a handshake.
Result<> BenchWorld::load_guarded() {
  constexpr uint32_t kNever = 1U << 30;
  auto shared = share_maps(tfo_->obj, guarded_->obj, guarded_->maps.rodata);
  if (!shared) return shared;
  guarded_->rodata->tfo_cfg.guard = 1;
  if (auto loaded = guarded_.load(); !loaded) return loaded;
  tfo_guard guard{};
  guard.flags = TFO_GUARD_ON;
  for (__u32& limit : guard.limit) limit = kNever;
  guard.duplicate_ticks = 60'000;
  for (uint32_t slot = 0; slot <= kVips; slot++) {
    const uint32_t index = tfo_settings_index(slot, 0);
    if (bpf_map_update_elem(bpf_map__fd(tfo_->maps.guards), &index, &guard, BPF_ANY) != 0) {
      return fail_errno("filling the guards");
    }
  }
  return {};
}

Result<> BenchWorld::load_monitor() {
  auto monitor = MonitorTables::open(tfo_);
  if (!monitor) return tl::unexpected<Error>(monitor.error());
  monitor_ = std::make_unique<MonitorTables>(std::move(*monitor));
  for (uint32_t vip = 0; vip < kVips; vip++) {
    for (const int family : {4, 6}) {
      if (auto done = monitor_->watch_vip(vip_address(family, vip), vip); !done) return done;
    }
  }
  return {};
}

/// A program array takes programs of one kind only: the same expected attach type and the same
/// view on fragments (bpf_prog_map_compatible() in kernel/bpf/core.c).
Result<> BenchWorld::load_bench() {
  const auto type = bpf_program__expected_attach_type(tfo_->progs.tfo_xdp);
  for (bpf_program* program :
       {bench_->progs.bench_empty, bench_->progs.bench_cold_empty, bench_->progs.bench_cold_tfo}) {
    bpf_program__set_expected_attach_type(program, type);
  }
  bpf_map__set_max_entries(bench_->maps.bench_packets, packets_);
  if (auto loaded = bench_.load(); !loaded) return loaded;

  chosen_ = bpf_program__fd(tfo_->progs.tfo_xdp);
  const auto& progs = bench_->progs;
  auto done =
      put_target(bench_->maps.bench_targets, TFO_BENCH_EMPTY, bpf_program__fd(progs.bench_empty));
  if (!done) return done;
  done = put_target(bench_->maps.bench_tc_targets, TFO_BENCH_EMPTY,
                    bpf_program__fd(progs.bench_tc_empty));
  if (!done) return done;
  void* mapping = mmap(nullptr, size_t{packets_} * sizeof(*table_), PROT_READ | PROT_WRITE,
                       MAP_SHARED, bpf_map__fd(bench_->maps.bench_packets), 0);
  if (mapping == MAP_FAILED) return fail_errno("cannot map the table of prepared packets");
  table_ = static_cast<tfo_bench_packet*>(mapping);
  return {};
}

Result<> BenchWorld::put_target(const bpf_map* map, uint32_t index, int program) {
  if (bpf_map_update_elem(bpf_map__fd(map), &index, &program, BPF_ANY) == 0) return {};
  return fail_errno("the kernel does not put the programs to measure into one program array");
}

Result<> BenchWorld::choose(const BenchCase& what, int family) {
  constexpr uint32_t kSequence4 = 14 + 20 + 4;  // offset in an Ethernet frame
  constexpr uint32_t kSequence6 = 14 + 40 + 4;
  bench_->bss->bench_sequence_at = 0;
  if (what.guard && what.syn) {
    bench_->bss->bench_sequence_at = family == 4 ? kSequence4 : kSequence6;
  }
  chosen_ = what.monitor != BenchMonitor::kOff
                ? monitor_->program(what.monitor)
                : bpf_program__fd((what.guard ? guarded_ : tfo_)->progs.tfo_xdp);
  const auto& maps = bench_->maps;
  return put_target(what.leaves() ? maps.bench_tc_targets : maps.bench_targets, TFO_BENCH_TFO,
                    chosen_);
}

BenchPrograms BenchWorld::programs(const BenchCase& what, bool anew) const {
  const auto& progs = bench_->progs;
  BenchPrograms out{.empty = -1, .measured = chosen_, .verdict = XDP_PASS};
  const bpf_program* empty = anew ? progs.bench_cold_empty : progs.bench_empty;
  const bpf_program* cold = progs.bench_cold_tfo;
  if (what.leaves()) {
    empty = anew ? progs.bench_tc_cold_empty : progs.bench_tc_empty;
    cold = progs.bench_tc_cold_tfo;
    out.verdict = static_cast<uint32_t>(TFO_BENCH_TC_NEXT);
  }
  out.empty = bpf_program__fd(empty);
  if (anew) out.measured = bpf_program__fd(cold);
  return out;
}

Result<> BenchWorld::remember(const BenchCase& what, int family, bool cold) {
  BenchCase syn = what;
  syn.answer = false;
  syn.monitor = BenchMonitor::kEgress;
  if (auto chosen = choose(syn, family); !chosen) return chosen;
  if (cold) {
    prepare(syn, family);
  } else {
    prepare_first(syn, family);
  }
  rewind(cold ? packets_ : 1);
  const BenchPrograms run = programs(syn, true);
  const auto done = time_run(run.measured, frame(syn, family, 1), cold ? packets_ : 1, run.verdict);
  return done ? Result<>{} : tl::unexpected<Error>(done.error());
}

Result<> BenchWorld::fill_vips() {
  std::vector<tfo_vip> entries;
  for (uint32_t vip = 0; vip < kAllVips; vip++) {
    for (const int family : {4, 6}) {
      tfo_vip entry{};
      std::memcpy(entry.address, vip_address(family, vip).data(), sizeof(entry.address));
      entry.port = vip % kAnyPortEach == 0 ? 0 : htons(kPort);
      entry.slot = static_cast<__u16>(vip + 1);
      entry.pool = static_cast<__u16>(vip % kPools);
      entry.mode = TFO_ENFORCE;
      entry.flags = TFO_VIP_USED | (vip < kVips ? TFO_VIP_RENEW : TFO_VIP_POLICY);
      entries.push_back(entry);
    }
  }
  const auto rows = place_vips(entries, tfo_->data_ctl->tfo_ctl.hash_seed, kRows - 1);
  if (!rows) return fail("the VIPs to measure with do not fit into their table");
  for (uint32_t row = 0; row < kRows; row++) {
    if (bpf_map_update_elem(bpf_map__fd(tfo_->maps.vips), &row, &(*rows)[row], BPF_ANY) != 0) {
      return fail_errno("filling the VIP table");
    }
  }
  return fill_policies();
}

Result<> BenchWorld::fill_policies() {
  tfo_policy policy{};
  policy.on_invalid = TFO_DEMOTE;
  for (uint32_t slot = kVips + 1; slot < kSlots; slot++) {
    const uint32_t index = tfo_settings_index(slot, 0);
    if (bpf_map_update_elem(bpf_map__fd(tfo_->maps.policies), &index, &policy, BPF_ANY) != 0) {
      return fail_errno("filling the policies");
    }
  }
  return {};
}

Result<> BenchWorld::fill_rings() {
  constexpr tfo_place kPlaces[kKeys] = {TFO_PLACE_CURRENT, TFO_PLACE_PREVIOUS, TFO_PLACE_RETIRED,
                                        TFO_PLACE_RETIRED};
  for (uint32_t pool = 0; pool < kPools; pool++) {
    tfo_ring ring{};
    ring.count = kKeys;
    // As in a rotation's steady state: the retired ones, to the previous one.
    ring.renew = 1 << 2 | 1 << 3;
    ring.target = 1;
    ring.renew_until_ns = UINT64_MAX;
    ring.fresh_until_ns = UINT64_MAX;
    for (uint32_t i = 0; i < kKeys; i++) {
      const Key key = Key::random();
      ring.generation[i] = {key.k0(), key.k1(), UINT64_MAX, static_cast<__u32>(kPlaces[i]), 0};
    }
    const uint32_t index = pool * 2;
    if (bpf_map_update_elem(bpf_map__fd(tfo_->maps.rings), &index, &ring, BPF_ANY) != 0) {
      return fail_errno("filling the rings");
    }
    rings_.push_back(ring);
  }
  return {};
}

std::vector<uint8_t> BenchWorld::frame(const BenchCase& what, int family, uint32_t index) const {
  const uint64_t random = mix(index + 1);
  const auto draw = static_cast<uint32_t>(random);
  const uint32_t vip = what.action == TFO_DEMOTE ? kVips + draw % kDemoting : draw % kVips;
  BenchSegment segment;
  segment.family = family;
  segment.source = what.networks ? client_elsewhere(family, index) : client_address(family, index);
  segment.destination =
      vip_address(family, what.place == BenchPlace::kNobody ? vip + kAllVips : vip);
  if (what.place == BenchPlace::kTracked || what.place == BenchPlace::kPrefix) {
    segment.destination = watched_address(what.place, family, draw);
  }
  segment.source_port = static_cast<uint16_t>(1024 + (random >> 32) % 60000);
  segment.destination_port = kPort;
  segment.sequence = static_cast<uint32_t>(random >> 16);
  segment.syn = what.syn;
  segment.options = what.options;
  segment.data = what.data;
  segment.cookie = random;
  if (what.answer) {
    segment.ack = true;
    segment.acknowledged = segment.sequence + 1;
    std::swap(segment.source_port, segment.destination_port);
  }
  if (what.leaves()) std::swap(segment.source, segment.destination);
  if (what.key > 0) {
    const tfo_generation& key = rings_[vip % kPools].generation[what.key - 1];
    const tfo_flow flow = flow_of(segment);
    segment.cookie = tfo_make_cookie(key.k0, key.k1, &flow);
  }
  return build_frame(segment);
}

void BenchWorld::prepare(const BenchCase& what, int family) {
  for (uint32_t i = 0; i < packets_; i++) put(i, frame(what, family, i));
}

void BenchWorld::prepare_first(const BenchCase& what, int family) {
  put(0, frame(what, family, 1));
}

void BenchWorld::put(uint32_t index, const std::vector<uint8_t>& frame) {
  std::memcpy(table_[index].bytes, frame.data(), std::min(frame.size(), sizeof(table_[0].bytes)));
}

Result<std::vector<uint64_t>> BenchWorld::counted() const {
  std::vector<uint64_t> totals(action_count(TFO_ACTION_COUNT));
  std::vector<tfo_counters> values(possible_cpus());
  for (uint32_t slot = 0; slot < kSlots; slot++) {
    if (bpf_map_lookup_elem(bpf_map__fd(tfo_->maps.stats), &slot, values.data()) != 0) {
      return fail_errno("reading the counters");
    }
    for (const tfo_counters& counters : values) {
      for (unsigned reason = 0; reason < TFO_REASON_COUNT; reason++) {
        for (const auto& option : counters.cell[reason]) totals[reason] += option[0] + option[1];
      }
      for (unsigned action = 0; action < TFO_ACTION_COUNT; action++) {
        totals[action_count(action)] += counters.action[action];
      }
    }
  }
  const auto monitored = monitor_->counted();
  if (!monitored) return tl::unexpected<Error>(monitored.error());
  totals.insert(totals.end(), monitored->begin(), monitored->end());
  return totals;
}

}  // namespace tfo
