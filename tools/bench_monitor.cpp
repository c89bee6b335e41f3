// SPDX-License-Identifier: BSD-2-Clause
#include "tools/bench_monitor.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>

#include <cstring>
#include <utility>

#include "loader/dataplane/map.h"
#include "loader/dataplane/map_set.h"

namespace tfo {
namespace {

constexpr uint32_t kRecent = 65536;           // TFO_RECENT of bpf/maps.h
constexpr uint32_t kSamplesBytes = 1U << 20;  // as MapSet has it
constexpr uint32_t kWatched = 4096;           // addresses of each network
constexpr uint32_t kMapped = 96;
constexpr uint32_t kFew = 10;  // one packet in 2^10 is a sample

/// A subject's number: that of its VIP, and behind them the networks'.
constexpr uint16_t subject_of(uint32_t vip) { return static_cast<uint16_t>(vip + 1); }

int keep_nothing(void* /*self*/, void* /*data*/, size_t /*size*/) { return 0; }

uint64_t sum_of(const tfo_monitor_counters& counters, BenchCount count) {
  uint64_t unsolicited = 0;
  switch (count) {
    case BenchCount::kSynsOut:
      return counters.syns_out;
    case BenchCount::kAnswered:
      return counters.answered;
    case BenchCount::kUnsolicited:
      for (const auto& row : counters.unsolicited) {
        for (const tfo_tally& tally : row) unsolicited += tally.packets;
      }
      return unsolicited - counters.unasked;
    case BenchCount::kNothing:
      break;
  }
  return 0;
}

}  // namespace

Result<> share_maps(const bpf_object* from, bpf_object* to, const bpf_map* rodata) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, to) {
    bpf_map* shared = bpf_object__find_map_by_name(from, bpf_map__name(map));
    if (map == rodata || shared == nullptr) continue;
    if (bpf_map__reuse_fd(map, bpf_map__fd(shared)) != 0) return fail_errno("sharing the maps");
  }
  return {};
}

/// Like the VIPs' networks (tools/bench_world.cpp), behind them.
BenchAddress watched_address(BenchPlace place, int family, uint32_t draw) {
  const bool prefix = place == BenchPlace::kPrefix;
  const uint32_t host =
      htonl((family == 4 ? prefix ? 0xc6131000U : 0xc6130000U : 0) + draw % kWatched);
  BenchAddress bytes{};
  if (family == 4) {
    bytes[10] = bytes[11] = 0xff;
  } else if (prefix) {  // its /64s are counted
    const uint16_t subnet = htons(static_cast<uint16_t>(draw % kWatched));
    bytes = {0x20, 0x01, 0x00, 0x02, 0x00, 0x03};
    std::memcpy(&bytes[6], &subnet, sizeof(subnet));
  } else {
    bytes = {0x20, 0x01, 0x00, 0x02, 0x00, 0x00, 0x00, 0x02};
  }
  std::memcpy(&bytes[12], &host, sizeof(host));
  return bytes;
}

Result<> MonitorTables::size(const XdpSkeleton& xdp, uint32_t vips) {
  const auto& maps = xdp->maps;
  const std::pair<bpf_map*, uint32_t> sized[] = {
      {maps.bloom, TFO_BLOOM_FILTERS * MapSizes::kBloomLines},
      {maps.monitor_stats, vips + 3},
      {maps.reflectors, vips + 3},
      {maps.cells, TFO_PREFIX_CELLS},
      {maps.net_stats, TFO_PREFIX_CELLS / 256},
      {maps.hit_maps, TFO_PREFIX_CELLS / 256},
      {maps.subnets, TFO_SUBNETS},
      {maps.recent, kRecent},
      {maps.sent, kRecent},
      {maps.samples, kSamplesBytes},
  };
  for (const auto& [map, entries] : sized) {
    const int error = bpf_map__set_max_entries(map, entries);
    if (error != 0) return fail_errno("cannot size the maps", error);
  }
  return {};
}

Result<MonitorTables> MonitorTables::open(XdpSkeleton& xdp) {
  auto on = XdpSkeleton::open();
  if (!on) return tl::unexpected<Error>(on.error());
  auto sockets = XdpSkeleton::open();
  if (!sockets) return tl::unexpected<Error>(sockets.error());
  auto egress = EgressSkeleton::open();
  if (!egress) return tl::unexpected<Error>(egress.error());
  MonitorTables tables(*xdp, std::move(*on), std::move(*sockets), std::move(*egress));
  if (auto done = tables.load(); !done) return tl::unexpected<Error>(done.error());
  if (auto done = tables.watch_networks(); !done) return tl::unexpected<Error>(done.error());
  return tables;
}

MonitorTables::MonitorTables(MonitorTables&& other) noexcept
    : xdp_(other.xdp_),
      on_(std::move(other.on_)),
      sockets_(std::move(other.sockets_)),
      egress_(std::move(other.egress_)),
      ring_(std::exchange(other.ring_, nullptr)) {}

MonitorTables::~MonitorTables() { ring_buffer__free(ring_); }

Result<> MonitorTables::load() {
  on_->rodata->tfo_cfg.monitor = TFO_MONITOR_ON;
  sockets_->rodata->tfo_cfg.monitor = TFO_MONITOR_ON | TFO_MONITOR_SOCKETS;
  egress_->rodata->tfo_cfg.monitor = TFO_MONITOR_ON;
  egress_->rodata->tfo_cfg.monitor_only = 1;
  const bpf_object* from = xdp_->obj;
  for (XdpSkeleton* one : {&on_, &sockets_}) {
    if (auto done = share_maps(from, (*one)->obj, (*one)->maps.rodata); !done) return done;
    if (auto done = one->load(); !done) return done;
  }
  if (auto done = share_maps(from, egress_->obj, egress_->maps.rodata); !done) return done;
  if (auto done = egress_.load(); !done) return done;
  xdp_->data_ctl->tfo_ctl.bloom_mask = MapSizes::kBloomLines - 1;
  xdp_->data_ctl->tfo_ctl.sample_budget = TFO_SAMPLE_BUDGET;
  ring_ = ring_buffer__new(bpf_map__fd(xdp_->maps.samples), keep_nothing, nullptr, nullptr);
  return ring_ == nullptr ? fail_errno("cannot open the ring of samples") : Result<>{};
}

Result<> MonitorTables::watch_networks() {
  const uint32_t subjects = bpf_map__max_entries(xdp_->maps.monitor_stats);
  for (const int family : {4, 6}) {
    for (const BenchPlace place : {BenchPlace::kTracked, BenchPlace::kPrefix}) {
      const bool wide = place == BenchPlace::kPrefix;
      const uint32_t length = family == 4 ? kMapped + 20 : wide ? 48 : 64;
      tfo_target target{};
      target.kind = TFO_TARGET_TRACKED;
      target.subject = static_cast<__u16>(subjects - 2);
      if (wide) {
        target.kind = TFO_TARGET_VIP;
        target.subject = target.around = static_cast<__u16>(subjects - 1);
        target.around_length = static_cast<__u8>(length);
        if (family != 4) target.first = 15U << TFO_SUBNET_SHIFT;  // fewer than it has /64s
      }
      if (auto done = watch(watched_address(place, family, 0), length, target); !done) return done;
    }
  }
  return {};
}

Result<> MonitorTables::watch_vip(const BenchAddress& address, uint32_t vip) {
  tfo_target target{};
  target.kind = TFO_TARGET_VIP;
  target.subject = subject_of(vip);
  return watch(address, 128, target);
}

Result<> MonitorTables::watch(const BenchAddress& address, uint32_t length,
                              const tfo_target& target) {
  tfo_target_key key{.length = length, .prefix = {}};
  std::memcpy(key.prefix, address.data(), sizeof(key.prefix));
  if (bpf_map_update_elem(bpf_map__fd(xdp_->maps.targets), &key, &target, BPF_ANY) == 0) {
    return {};
  }
  return fail_errno("filling the table of who is watched");
}

int MonitorTables::program(BenchMonitor monitor) const {
  switch (monitor) {
    case BenchMonitor::kSockets:
      return bpf_program__fd(sockets_->progs.tfo_xdp);
    case BenchMonitor::kEgress:
      return bpf_program__fd(egress_->progs.tfo_egress);
    default:
      return bpf_program__fd(on_->progs.tfo_xdp);
  }
}

Result<> MonitorTables::refresh(bool sampled) const {
  tfo_monitor_cpu fresh{};
  fresh.window_ns = xdp_->data_ctl->tfo_ctl.now_ns;
  fresh.shift = sampled ? 0 : kFew;
  const std::vector<tfo_monitor_cpu> all(possible_cpus(), fresh);
  const uint32_t zero = 0;
  if (bpf_map_update_elem(bpf_map__fd(xdp_->maps.monitor_cpus), &zero, all.data(), BPF_ANY) != 0) {
    return fail_errno("filling the monitor's budgets");
  }
  if (ring_buffer__consume(ring_) < 0) return fail_errno("cannot empty the ring of samples");
  return {};
}

void MonitorTables::next_epoch(unsigned epochs) {
  xdp_->data_ctl->tfo_ctl.now_ns += uint64_t{epochs} << TFO_EPOCH_SHIFT;
}

Result<std::array<uint64_t, MonitorTables::kCounts>> MonitorTables::counted() const {
  std::array<uint64_t, kCounts> sums{};
  const bpf_map* map = xdp_->maps.monitor_stats;
  std::vector<tfo_monitor_counters> values(possible_cpus());
  for (uint32_t subject = 0; subject < bpf_map__max_entries(map); subject++) {
    if (bpf_map_lookup_elem(bpf_map__fd(map), &subject, values.data()) != 0) {
      return fail_errno("reading the monitor's counters");
    }
    for (const tfo_monitor_counters& counters : values) {
      for (size_t count = 0; count < kCounts; count++) {
        sums.at(count) += sum_of(counters, static_cast<BenchCount>(count));
      }
    }
  }
  return sums;
}

}  // namespace tfo
