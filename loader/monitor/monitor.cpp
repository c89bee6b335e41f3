// SPDX-License-Identifier: BSD-2-Clause
#include "loader/monitor/monitor.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "bpf/bloom.h"
#include "bpf/synack_core.h"
#include "loader/monitor/per_cpu.h"

namespace tfo {
namespace {

/// From so many a second on it is worth looking at what follows.
constexpr uint64_t kAlarming = 50;
/// A processor that took none for so long does not say how many are samples now.
constexpr std::chrono::seconds kFewNow{10};

}  // namespace

tfo_tally unsolicited(const tfo_monitor_counters& counters) {
  tfo_tally sum{};
  for (const auto& row : counters.unsolicited) {
    for (const tfo_tally& tally : row) {
      sum.packets += tally.packets;
      sum.bytes += tally.bytes;
    }
  }
  return sum;
}

uint64_t came_since(const tfo_monitor_counters& now, const tfo_monitor_counters& before) {
  return grown(unsolicited(now).packets, unsolicited(before).packets) +
         grown(now.resets, before.resets);
}

SynAckMonitor::SynAckMonitor(const MapSet& maps, const std::array<uint64_t, 2>& seed, bool unbroken)
    : maps_(maps), unbroken_(unbroken), book_(seed), load_({}, 0, 1) {}

SynAckMonitor::~SynAckMonitor() { ring_buffer__free(ring_); }

Result<std::unique_ptr<SynAckMonitor>> SynAckMonitor::open(const MapSet& maps, bool unbroken) {
  // Not the programs' seed: what is shown of these tables must not tell of that one.
  const auto seed = new_seed();
  if (!seed) return tl::unexpected(seed.error());
  std::unique_ptr<SynAckMonitor> monitor(
      new SynAckMonitor(maps, {(*seed)[0], (*seed)[1]}, unbroken));
  auto sketches = MapMemory::of(maps.monitor.reflectors);
  if (!sketches) return tl::unexpected(std::move(sketches).error());
  auto hits = MapMemory::of(maps.monitor.hit_maps);
  if (!hits) return tl::unexpected(std::move(hits).error());
  auto heavy = MapMemory::of(maps.monitor.heavy);
  if (!heavy) return tl::unexpected(std::move(heavy).error());
  monitor->sketches_ = std::move(*sketches);
  monitor->heavy_ = std::move(*heavy);
  monitor->hits_ = std::move(*hits);
  auto exact = PrefixCounters::open(maps);
  if (!exact) return tl::unexpected(std::move(exact).error());
  monitor->exact_ = std::move(*exact);
  monitor->ring_ = ring_buffer__new(maps.monitor.samples.fd(), take, monitor.get(), nullptr);
  if (monitor->ring_ == nullptr) return fail_errno("cannot open the ring of samples");
  return monitor;
}

std::chrono::nanoseconds SynAckMonitor::now() const {
  return std::chrono::nanoseconds(maps_.control.now_ns());
}

/// Where the counters stand: at once, since what is answered before the first read() proves as
/// much.
Result<> SynAckMonitor::look(size_t samples) {
  for (auto& [name, watched] : watched_) {
    if (auto done = read_places(watched); !done) return done;
  }
  // Only now: an attack whose first sample is found here had none of its packets in the counters
  // of the look before, where its volume begins.
  if (auto done = take_samples(samples); !done) return done;
  see_parts();
  for (auto& [name, watched] : watched_) {
    if (auto done = judge(watched); !done) return done;
  }
  see_tracking();
  add_parts();
  return {};
}

int SynAckMonitor::samples_fd() const { return ring_buffer__epoll_fd(ring_); }

int SynAckMonitor::take(void* self, void* data, size_t size) {
  auto* monitor = static_cast<SynAckMonitor*>(self);
  tfo_sample sample{};
  if (size < sizeof(sample)) return 0;
  std::memcpy(&sample, data, sizeof(sample));
  const auto owner = monitor->owners_.find(sample.subject);
  if (owner != monitor->owners_.end()) {
    monitor->book_.add(owner->second.number, sample, monitor->now());
    if (owner->second.around != 0) {
      monitor->book_.add(owner->second.around, sample, monitor->now());
    }
  }
  return --monitor->wanted_ == 0 ? -EAGAIN : 0;
}

Result<> SynAckMonitor::take_samples(size_t most) {
  if (most == 0) return {};
  wanted_ = most;
  const int taken = ring_buffer__consume(ring_);
  return taken < 0 && taken != -EAGAIN ? fail_errno("cannot read the ring of samples", taken)
                                       : Result<>{};
}

uint64_t SynAckMonitor::Watched::reflectors(double (Distinct::*which)() const) const {
  double sum = 0;
  for (const Place& place : places) sum += (place.reflectors.*which)();
  return static_cast<uint64_t>(sum + 0.5);
}

/// Each place as it stands now, and what came to it since the last time.
Result<> SynAckMonitor::read_places(Watched& watched) {
  watched.before = std::exchange(watched.counters, {});
  for (Place& place : watched.places) {
    auto counters = sum_of<tfo_monitor_counters>(maps_.monitor.stats, place.where.number);
    if (!counters) return tl::unexpected(std::move(counters).error());
    const tfo_monitor_counters before = std::exchange(place.counters, *counters);
    place.came = came_since(*counters, before);
    place.bytes = grown(unsolicited(*counters).bytes, unsolicited(before).bytes);
    add(watched.counters, *counters);
  }
  uint64_t came = 0;
  for (const Place& place : watched.places) came += place.came;
  for (Place& place : watched.places) {
    if (came > 0) place.share = static_cast<double>(place.came) / static_cast<double>(came);
  }
  return {};
}

Result<> SynAckMonitor::judge(Watched& watched) {
  see_answers(watched);
  add_up(watched);
  if (auto done = follow_attack(watched); !done) return done;
  const uint32_t epoch = tfo_epoch(maps_.control.now_ns());
  const uint64_t counted = unsolicited(watched.counters).packets + watched.counters.resets;
  // Most have nothing new in their sketch, and there may be thousands.
  if (counted != watched.sketched || epoch != watched.sketched_at) {
    for (Place& place : watched.places) {
      place.reflectors.read(std::span(sketches_->at<tfo_hll>(place.where.number)->reg), epoch);
    }
    watched.sketched = counted;
    watched.sketched_at = epoch;
  }
  watched.addresses_hit = addresses_hit(watched);
  return {};
}

/// The addresses hit in this window of 8.6 s or in the one before.
uint64_t SynAckMonitor::addresses_hit(const Watched& watched) const {
  if (!watched.subject.each_address) return 0;
  const MonitorCells& cells = plan_.cells.at(watched.subject.name);
  const uint32_t window = tfo_window(maps_.control.now_ns());
  if (cells.nets == 0) {  // IPv6: as far as the samples tell
    const AttackTables* tables = book_.find(watched.number);
    return tables == nullptr ? 0 : tables->victims_hit(window);
  }
  uint64_t sum = 0;
  for (uint32_t net = cells.first_net; net < cells.first_net + cells.nets; net++) {
    const tfo_hit_map* hits = hits_->at<tfo_hit_map>(net);
    for (unsigned word = 0; word < TFO_HIT_WORDS; word++) {
      uint32_t hit = 0;
      for (const uint32_t one : {window, window - 1}) {
        const uint64_t value = hits->bank[one & 1][word];
        if (tfo_stamped(value, one) != 0) hit |= static_cast<uint32_t>(value);
      }
      sum += static_cast<uint64_t>(std::popcount(hit));
    }
  }
  return sum;
}

Result<> SynAckMonitor::read_load() {
  std::vector<tfo_monitor_cpu> cpus(maps_.monitor.cpus.raw_size() / sizeof(tfo_monitor_cpu));
  if (auto read = maps_.monitor.cpus.read(0, cpus.data()); !read) return read;
  weight_ = 1;
  for (const tfo_monitor_cpu& cpu : cpus) {
    const bool lately = std::chrono::nanoseconds(cpu.window_ns) + kFewNow > now();
    if (lately) weight_ = std::max(weight_, uint32_t{1} << cpu.shift);
  }
  const uint32_t epoch = tfo_epoch(maps_.control.now_ns());
  heavy_sources_ = heavy_sources(maps_.monitor, *heavy_, epoch);
  load_ = BloomLoad(cpus, epoch,
                    std::max<uint32_t>(1, maps_.monitor.bloom.entries() / TFO_BLOOM_FILTERS));
  return {};
}

uint64_t SynAckMonitor::sources_of(const Watched& watched, std::string_view rule) {
  if (rule == kCarpetRule) return watched.addresses_hit;
  return watched.reflectors(rule == kSlowRule ? &Distinct::lasting : &Distinct::recent);
}

MonitorReading SynAckMonitor::reading(const Watched& watched, std::string_view rule) {
  const tfo_monitor_counters& counters = watched.counters;
  const tfo_tally sum = unsolicited(counters);
  MonitorReading out;
  out.rule = rule;
  out.subject = watched.subject.name;
  out.count = watched.count;
  out.bytes = sum.bytes;
  out.floor = is_wide(watched) ? 0 : usual_background(watched.subject);
  if (out.rule == kCarpetRule) {
    out.count = watched.carpet.total();
  } else if (watched.subject.each_address && watched.subject.kind != TFO_TARGET_ASYMMETRIC) {
    out.count = watched.own.total();
    out.bytes = watched.own_bytes.total();
  }
  out.total = out.count + watched.explained.total();
  out.sources = sources_of(watched, out.rule);
  out.part_of = part_of(watched);
  if (watched.subject.kind == TFO_TARGET_ASYMMETRIC) out.total = counters.syns_out;
  if (watched.subject.kind == TFO_TARGET_TRACKED) judge_tracking(watched, out);
  out.evidence = [this, &watched] { return evidence(watched); };
  return out;
}

MonitorReading SynAckMonitor::lost_reading() const {
  MonitorReading out;
  out.rule = "events_lost";
  out.subject = "monitor";
  out.count = totals_.samples_lost;
  out.evidence = [this] {
    return nlohmann::json{{"samples", totals_.samples}, {"samples_lost", totals_.samples_lost}};
  };
  return out;
}

Result<std::vector<MonitorReading>> SynAckMonitor::read(size_t samples) {
  if (auto done = read_load(); !done) return tl::unexpected(done.error());
  std::vector<MonitorReading> readings;
  bool tracked = false;
  uint64_t alarm = 0;
  if (auto done = look(samples); !done) return tl::unexpected(done.error());
  review_book();
  for (auto& [name, watched] : watched_) {
    for (std::string_view rule : monitor_rules(watched.subject))
      readings.push_back(reading(watched, rule));
    const uint64_t count = watched.count;
    if (count > watched.last_count + kAlarming || alarmed_.contains(name)) {
      alarm |= alarm_bits(watched.subject);
    }
    watched.last_count = count;
    tracked = tracked || watched.subject.kind == TFO_TARGET_TRACKED;
  }
  if (tracked) readings.push_back(flood_reading());
  readings.push_back(lost_reading());
  maps_.control.set_monitor_alarm(alarm);
  return readings;
}

std::vector<uint8_t> SynAckMonitor::pcap(const std::string& subject, int64_t offset_ns) const {
  const auto found = watched_.find(subject);
  const AttackTables* tables = found == watched_.end() ? nullptr : book_.find(found->second.number);
  return tables == nullptr ? std::vector<uint8_t>() : tables->pcap(offset_ns);
}

const tfo_monitor_counters* SynAckMonitor::counters(const std::string& subject) const {
  const auto found = watched_.find(subject);
  return found == watched_.end() ? nullptr : &found->second.counters;
}

}  // namespace tfo
