// SPDX-License-Identifier: BSD-2-Clause
// Who is watched, and what the programs are told of it.
#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "bpf/synack_core.h"
#include "loader/monitor/monitor.h"

namespace tfo {
namespace {

constexpr std::chrono::nanoseconds kWindow{1LL << TFO_WINDOW_SHIFT};

using Key = std::pair<uint32_t, MonitorAddress>;

Key key_of(const tfo_target_key& target) { return {target.length, std::to_array(target.prefix)}; }

std::vector<tfo_target_key> keys_of(const Map& map) {
  std::vector<tfo_target_key> keys;
  tfo_target_key key{};
  const tfo_target_key* before = nullptr;
  while (bpf_map_get_next_key(map.fd(), before, &key) == 0) {
    keys.push_back(key);
    before = &key;
  }
  return keys;
}

/// Deletes the keys that are not among `kept`.
Result<> keep_only(const Map& map, const std::vector<MonitorTarget>& kept) {
  std::set<Key> wanted;
  for (const MonitorTarget& one : kept) wanted.insert(key_of(one.key));
  for (const tfo_target_key& one : keys_of(map)) {
    if (wanted.contains(key_of(one))) continue;
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

/// Of tfo_target.since.
uint16_t SynAckMonitor::window() const {
  return static_cast<uint16_t>(tfo_window(maps_.control.now_ns()));
}

/// Windows since.
uint16_t SynAckMonitor::age(uint16_t since) const {
  return static_cast<uint16_t>(window() - since);
}

/// The numbers that a monitor before this one gave, and since when: the counters go on.
Result<> SynAckMonitor::learn(const std::vector<MonitorSubject>& subjects) {
  std::set<Key> known;  // a look-up of another would find a wider one
  for (const tfo_target_key& key : keys_of(maps_.monitor.targets)) known.insert(key_of(key));
  std::set<uint16_t> taken;
  for (const MonitorSubject& subject : subjects) {
    uint16_t since = 0;  // of what came last
    bool all = true;     // were there
    for (const MonitorPrefix& prefix : subject.prefixes) {
      tfo_target_key key{.length = prefix.length, .prefix = {}};
      std::ranges::copy(prefix.address, key.prefix);
      tfo_target found{};
      const bool first = &prefix == subject.prefixes.data();
      const bool had = known.contains(key_of(key));
      if (had && bpf_map_lookup_elem(maps_.monitor.targets.fd(), &key, &found) != 0) {
        return fail_errno("cannot read map " + maps_.monitor.targets.name());
      }
      if (!had || found.kind != subject.kind) {
        all = false;
        continue;
      }
      if (first || age(found.since) < age(since)) since = found.since;
      if (!taken.insert(found.subject).second) continue;
      plan_.numbers.emplace(first ? subject.name : place_key(subject, prefix), found.subject);
    }
    if (unbroken_ && all) since_.emplace(subject.name, since);
  }
  return {};
}

/// What another subject of this number counted.
Result<> SynAckMonitor::forget_counters(uint16_t number) const {
  const std::vector<uint8_t> zero(maps_.monitor.stats.raw_size());
  return maps_.monitor.stats.write(number, zero.data());
}

/// Since when they are watched. SYNs of an address that came here, or went, left elsewhere until
/// now, or do from now on.
void SynAckMonitor::date(const std::vector<MonitorSubject>& subjects) {
  for (const MonitorSubject& subject : subjects) {
    const auto had = watched_.find(subject.name);
    const bool changed = had != watched_.end() && (!had->second.subject.same_as(subject) ||
                                                   had->second.subject.here != subject.here);
    if (changed) since_.erase(subject.name);
    since_.try_emplace(subject.name, window());
  }
}

SynAckMonitor::Watched SynAckMonitor::begin(const MonitorSubject& subject,
                                            const std::vector<MonitorPlace>& places) const {
  // The first one may have been nearly over.
  const auto past = kWindow * std::max(0, age(since_.at(subject.name)) - 1);
  Watched out{.subject = subject,
              .number = places.front().number,
              .places = {},
              .proof = TrackingProof(now() - past),
              .excess = {},
              .explained = {},
              .syns_at = {},
              .began = {},
              .counts_at = {}};
  for (const MonitorPlace& place : places) {
    out.places.push_back({.where = place, .share = out.places.empty() ? 1.0 : 0.0});
  }
  return out;
}

/// Is it watched as before, with the same declared prefixes around it?
bool SynAckMonitor::goes_on(const MonitorSubject& subject, const MonitorPlan& plan) const {
  const auto had = watched_.find(subject.name);
  return had != watched_.end() && had->second.subject.same_as(subject) &&
         plan_.places.at(subject.name) == plan.places.at(subject.name);
}

void SynAckMonitor::name_owners() {
  owners_.clear();
  for (const auto& [name, places] : plan_.places) {
    for (const MonitorPlace& place : places) {
      const uint16_t around = place.around.empty() ? 0 : plan_.numbers.at(place.around);
      owners_[place.number] = {.number = places.front().number, .around = around};
    }
  }
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
  const std::map<std::string, uint16_t> since_before = since_;
  std::erase_if(since_, [&](const auto& one) { return !plan->numbers.contains(one.first); });
  date(subjects);
  if (auto done = write_targets(*plan); !done) {
    since_ = since_before;
    if (begun_) (void)write_targets(plan_);  // as far as the map takes it
    return done;
  }
  begun_ = true;
  follow(subjects, *plan);
  plan_ = std::move(*plan);
  name_owners();
  sockets_ = sockets;
  return look(kSamplesAtOnce);
}

/// By the plan that the programs have now. Who was there goes on.
void SynAckMonitor::follow(const std::vector<MonitorSubject>& subjects, const MonitorPlan& plan) {
  std::map<std::string, Watched> watched;
  for (const MonitorSubject& subject : subjects) {
    if (!goes_on(subject, plan)) {
      book_.forget(plan.numbers.at(subject.name));
      watched.emplace(subject.name, begin(subject, plan.places.at(subject.name)));
      continue;
    }
    Watched& kept =
        watched.emplace(subject.name, std::move(watched_.at(subject.name))).first->second;
    if (cells_of(plan, subject.name) != cells_of(plan_, subject.name)) {
      kept.counts_at.reset();
      kept.counts_before = kept.counts_at_start = {};
      kept.density.restart();
    }
    if (std::exchange(kept.subject.here, subject.here) != subject.here) kept.proof.restart(now());
  }
  watched_ = std::move(watched);
}

Result<> SynAckMonitor::write_targets(MonitorPlan& plan) {
  const Map& map = maps_.monitor.targets;
  if (auto done = keep_only(map, plan.targets); !done) return done;
  std::map<uint16_t, uint16_t> since;  // by number
  for (const auto& [name, places] : plan.places) {
    for (const MonitorPlace& place : places) since[place.number] = since_.at(name);
  }
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

}  // namespace tfo
