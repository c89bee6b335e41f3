// SPDX-License-Identifier: BSD-2-Clause
#include "loader/monitor/monitor.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <set>
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
constexpr std::chrono::nanoseconds kWindow{1LL << TFO_WINDOW_SHIFT};

/// Deletes the keys that are not among `kept`.
Result<> keep_only(const Map& map, const std::vector<MonitorTarget>& kept) {
  using Key = std::pair<uint32_t, MonitorAddress>;
  const auto key_of = [](const tfo_target_key& target) {
    return Key(target.length, std::to_array(target.prefix));
  };
  std::set<Key> wanted;
  for (const MonitorTarget& one : kept) wanted.insert(key_of(one.key));
  std::vector<tfo_target_key> gone;
  tfo_target_key key{};
  const tfo_target_key* before = nullptr;
  while (bpf_map_get_next_key(map.fd(), before, &key) == 0) {
    if (!wanted.contains(key_of(key))) gone.push_back(key);
    before = &key;
  }
  for (const tfo_target_key& one : gone) {
    if (bpf_map_delete_elem(map.fd(), &one) != 0 && errno != ENOENT) {
      return fail_errno("cannot delete from map " + map.name());
    }
  }
  return {};
}

MonitorCells cells_of(const MonitorPlan& plan, const std::string& subject) {
  const auto found = plan.cells.find(subject);
  return found == plan.cells.end() ? MonitorCells() : found->second;
}

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
  auto cells = MapMemory::of(maps.monitor.cells);
  if (!cells) return tl::unexpected(std::move(cells).error());
  monitor->cells_ = std::move(*cells);
  monitor->ring_ = ring_buffer__new(maps.monitor.samples.fd(), take, monitor.get(), nullptr);
  if (monitor->ring_ == nullptr) return fail_errno("cannot open the ring of samples");
  return monitor;
}

std::chrono::nanoseconds SynAckMonitor::now() const {
  return std::chrono::nanoseconds(maps_.control.now_ns());
}

/// Of tfo_target.since.
uint16_t SynAckMonitor::window() const {
  return static_cast<uint16_t>(tfo_window(maps_.control.now_ns()));
}

/// The numbers that a monitor before this one gave, and since when: the counters go on.
Result<> SynAckMonitor::learn(const std::vector<MonitorSubject>& subjects) {
  std::set<uint16_t> taken;
  for (const MonitorSubject& subject : subjects) {
    if (subject.prefixes.empty()) continue;
    tfo_target_key key{.length = subject.prefixes[0].length, .prefix = {}};
    std::ranges::copy(subject.prefixes[0].address, key.prefix);
    tfo_target found{};
    if (bpf_map_lookup_elem(maps_.monitor.targets.fd(), &key, &found) != 0) {
      if (errno == ENOENT) continue;
      return fail_errno("cannot read map " + maps_.monitor.targets.name());
    }
    // What was found may be a wider one's, which keeps its number if it is still there.
    if (found.kind != subject.kind || !taken.insert(found.subject).second) continue;
    plan_.numbers.emplace(subject.name, found.subject);
    if (unbroken_) since_.emplace(subject.name, found.since);
  }
  return {};
}

/// What another subject of this number counted.
Result<> SynAckMonitor::forget_counters(uint16_t number) const {
  const std::vector<uint8_t> zero(maps_.monitor.stats.raw_size());
  return maps_.monitor.stats.write(number, zero.data());
}

/// Since when they are watched.
void SynAckMonitor::date(const std::vector<MonitorSubject>& subjects) {
  for (const MonitorSubject& subject : subjects) {
    const auto had = watched_.find(subject.name);
    const bool changed = had != watched_.end() && !had->second.subject.same_as(subject);
    if (changed) since_.erase(subject.name);
    since_.try_emplace(subject.name, window());
  }
}

SynAckMonitor::Watched SynAckMonitor::begin(const MonitorSubject& subject, uint16_t number) const {
  // The first one may have been nearly over.
  const auto windows = static_cast<uint16_t>(window() - since_.at(subject.name));
  const auto age = kWindow * std::max(0, windows - 1);
  return {.subject = subject,
          .number = number,
          .proof = TrackingProof(now() - age),
          .reflectors = {},
          .excess = {},
          .explained = {},
          .syns_at = {},
          .began = {},
          .counts_at = {}};
}

Result<> SynAckMonitor::watch(const std::vector<MonitorSubject>& subjects, bool sockets) {
  if (!begun_) {
    if (auto done = learn(subjects); !done) return done;
  }
  const std::map<std::string, uint16_t> before = plan_.numbers;
  auto plan = plan_monitor(subjects, maps_.monitor.stats.entries(), plan_.numbers);
  if (!plan) return tl::unexpected(std::move(plan).error());
  for (const auto& [name, number] : plan->numbers) {
    if (before.contains(name)) continue;
    if (auto done = forget_counters(number); !done) return done;
  }
  std::erase_if(since_, [&](const auto& one) { return !plan->numbers.contains(one.first); });
  date(subjects);
  std::map<std::string, Watched> watched;
  for (const MonitorSubject& subject : subjects) {
    const auto had = watched_.find(subject.name);
    if (had != watched_.end() && had->second.subject.same_as(subject)) {
      Watched& kept = watched.emplace(subject.name, std::move(had->second)).first->second;
      if (cells_of(*plan, subject.name) != cells_of(plan_, subject.name)) {
        kept.counts_at.reset();
        kept.counts_before = kept.counts_at_start = {};
      }
      // SYNs of an address that came here, or went, left elsewhere until now, or do from now on.
      if (std::exchange(kept.subject.here, subject.here) != subject.here) {
        kept.proof.restart(now());
        since_[subject.name] = window();
      }
      continue;
    }
    const uint16_t number = plan->numbers.at(subject.name);
    book_.forget(number);
    watched.emplace(subject.name, begin(subject, number));
  }
  if (auto done = write_targets(*plan); !done) return done;
  begun_ = true;
  around_.clear();
  for (const auto& [name, wide] : plan->around) {
    around_.emplace(plan->numbers.at(name), plan->numbers.at(wide));
  }
  watched_ = std::move(watched);
  plan_ = std::move(*plan);
  sockets_ = sockets;
  return look();
}

/// Where the counters stand: at once, since what is answered before the first read() proves as
/// much.
Result<> SynAckMonitor::look() {
  for (auto& [name, watched] : watched_) {
    if (auto done = read_counters(watched); !done) return done;
  }
  see_tracking();
  add_parts();
  return {};
}

Result<> SynAckMonitor::write_targets(MonitorPlan& plan) {
  const Map& map = maps_.monitor.targets;
  if (auto done = keep_only(map, plan.targets); !done) return done;
  std::map<uint16_t, uint16_t> since;  // by number
  for (const auto& [name, number] : plan.numbers) since[number] = since_.at(name);
  for (MonitorTarget& target : plan.targets) {
    target.value.since = since.at(target.value.subject);
    if (bpf_map_update_elem(map.fd(), &target.key, &target.value, BPF_ANY) != 0) {
      return fail_errno("cannot write map " + map.name());
    }
  }
  return {};
}

void SynAckMonitor::tracking_was_away() {
  for (auto& [name, watched] : watched_) watched.proof.restart(now());
  for (auto& [name, since] : since_) since = window();
  (void)write_targets(plan_);  // what a monitor after this one knows; the next watch() says more
}

int SynAckMonitor::samples_fd() const { return ring_buffer__epoll_fd(ring_); }

int SynAckMonitor::take(void* self, void* data, size_t size) {
  auto* monitor = static_cast<SynAckMonitor*>(self);
  tfo_sample sample{};
  if (size < sizeof(sample)) return 0;
  std::memcpy(&sample, data, sizeof(sample));
  monitor->book_.add(sample.subject, sample, monitor->now());
  const auto around = monitor->around_.find(sample.subject);
  if (around != monitor->around_.end()) {
    monitor->book_.add(around->second, sample, monitor->now());
  }
  return --monitor->wanted_ == 0 ? -EAGAIN : 0;
}

Result<> SynAckMonitor::take_samples(size_t most) {
  wanted_ = most;
  const int taken = ring_buffer__consume(ring_);
  return taken < 0 && taken != -EAGAIN ? fail_errno("cannot read the ring of samples", taken)
                                       : Result<>{};
}

Result<> SynAckMonitor::read_counters(Watched& watched) {
  auto counters = sum_of<tfo_monitor_counters>(maps_.monitor.stats, watched.number);
  if (!counters) return tl::unexpected(std::move(counters).error());
  const tfo_monitor_counters before = std::exchange(watched.counters, *counters);
  see_answers(watched, before);
  add_up(watched, before);
  if (auto done = follow_attack(watched, before); !done) return done;
  const uint32_t epoch = tfo_epoch(maps_.control.now_ns());
  const uint64_t counted = unsolicited(watched.counters).packets + watched.counters.resets;
  // Most have nothing new in their sketch, and there may be thousands.
  if (counted != watched.sketched || epoch != watched.sketched_at) {
    watched.reflectors.read(std::span(sketches_->at<tfo_hll>(watched.number)->reg), epoch);
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
  const bool slow = rule == kSlowRule;
  const double sources = slow ? watched.reflectors.lasting() : watched.reflectors.recent();
  return static_cast<uint64_t>(sources + 0.5);
}

MonitorReading SynAckMonitor::reading(const Watched& watched, std::string_view rule) {
  const tfo_monitor_counters& counters = watched.counters;
  const tfo_tally sum = unsolicited(counters);
  MonitorReading out;
  out.rule = rule;
  out.subject = watched.subject.name;
  out.count = watched.count;
  out.bytes = sum.bytes;
  out.floor = usual_background(watched.subject);
  if (out.rule == kCarpetRule) {
    out.count = watched.carpet.total();
  } else if (watched.subject.each_address && watched.subject.kind != TFO_TARGET_ASYMMETRIC) {
    out.count = watched.own.total();
    out.bytes = watched.own_bytes.total();
  }
  out.total = out.count + watched.explained.total();
  out.sources = sources_of(watched, out.rule);
  const auto around = plan_.around.find(out.subject);
  if (around != plan_.around.end()) out.part_of = around->second;
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

Result<std::vector<MonitorReading>> SynAckMonitor::read() {
  if (auto done = read_load(); !done) return tl::unexpected(done.error());
  std::vector<MonitorReading> readings;
  bool tracked = false;
  uint64_t alarm = 0;
  if (auto done = look(); !done) return tl::unexpected(done.error());
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
