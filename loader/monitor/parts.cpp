// SPDX-License-Identifier: BSD-2-Clause
// What lies in a declared prefix and has a name of its own: the programs count it for both.
#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "loader/monitor/monitor.h"

namespace tfo {

/// A carpet's are its parts' too, as those are judged; what comes to none of them is its own.
void SynAckMonitor::add_parts() {
  std::map<std::string_view, Watched::Step> parts;  // by declared prefix
  for (const auto& [name, part] : watched_) {
    for (const Place& place : part.places) {
      if (place.where.around.empty()) continue;
      Watched::Step& sum = parts[place.where.around];
      sum.came += place.came;
      sum.bytes += place.bytes;
      sum.judged += static_cast<uint64_t>(static_cast<double>(part.step.judged) * place.share);
    }
  }
  for (auto& [name, watched] : watched_) {
    if (!watched.subject.each_address) continue;
    add_carpet(watched, parts[name]);
  }
}

void SynAckMonitor::add_carpet(Watched& watched, const Watched::Step& parts) {
  const auto judged = static_cast<int64_t>(parts.judged);
  // In excess is what came within ten seconds beyond the SYNs of all of them: so are its parts'.
  const bool excess = judges_excess(watched);
  const auto came = excess ? judged : static_cast<int64_t>(parts.came);
  int64_t own = static_cast<int64_t>(watched.step.judged) - came;
  int64_t carpet = own + judged;
  if (is_wide(watched)) {
    const double usual = usual_background(watched.subject);
    const auto dense = static_cast<int64_t>(see_density(watched));
    const bool busy_own = watched.busy_own.see(now(), static_cast<double>(own), usual);
    if (!watched.busy_carpet.see(now(), static_cast<double>(carpet), usual)) {
      carpet = std::min(carpet, dense);
    }
    if (!busy_own) own = std::min(own, std::max<int64_t>(0, dense - came));
  }
  const uint64_t jitter = std::max(parts.came, parts.judged);
  watched.carpet.add(carpet, jitter);
  watched.own.add(own, jitter);
  watched.own_bytes.add(
      static_cast<int64_t>(watched.step.bytes) - static_cast<int64_t>(parts.bytes), parts.bytes);
}

/// Is its background more than what an attack on a few of its addresses may bring?
bool SynAckMonitor::is_wide(const Watched& watched) const {
  const auto cells = plan_.cells.find(watched.subject.name);
  return cells != plan_.cells.end() && cells->second.nets > 1;
}

uint64_t SynAckMonitor::see_density(Watched& watched) const {
  return watched.density.see(now(), exact_->read_nets(plan_.cells.at(watched.subject.name)));
}

/// Answers to what is named in a declared prefix are counted for that alone; its SYNs for both.
void SynAckMonitor::see_parts() {
  for (auto& [name, watched] : watched_) watched.of_parts = {};
  for (const auto& [name, part] : watched_) {
    for (const Place& place : part.places) {
      if (place.where.around.empty()) continue;
      tfo_monitor_counters& sum = watched_.at(place.where.around).of_parts;
      sum.answered += place.counters.answered;
      sum.known += place.counters.known;
      sum.blind += place.counters.blind;
    }
  }
}

/// The declared prefix that it lies in: with all of its places, or with the one that nearly all
/// came to.
std::string SynAckMonitor::part_of(const Watched& watched) {
  const Place& first = watched.places.front();
  const auto elsewhere = [&](const Place& one) { return one.where.around != first.where.around; };
  if (std::ranges::none_of(watched.places, elsewhere)) return first.where.around;
  const Place& most = *std::ranges::max_element(watched.places, {}, &Place::came);
  return most.came > watched.step.came - watched.step.came / 10 ? most.where.around : "";
}

}  // namespace tfo
