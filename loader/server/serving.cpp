// SPDX-License-Identifier: BSD-2-Clause
#include "loader/server/serving.h"

#include <algorithm>
#include <functional>
#include <set>
#include <span>
#include <tuple>

namespace tfo {
namespace {

using Listeners = std::span<const Listener>;

constexpr ConfigAddress kAnyV6{};

/// A listener's place: as tidy() sorts them.
auto place_of(const Listener& one) { return std::tie(one.port, one.address); }

/// Those of the first listener's place.
Listeners first_place(Listeners listeners) {
  const auto end = std::ranges::find_if(
      listeners, [&](const Listener& one) { return place_of(one) != place_of(listeners.front()); });
  return {listeners.begin(), end};
}

Listeners bound_to(const ListenerReport& report, const ConfigAddress& address, uint16_t port) {
  const auto found =
      std::ranges::equal_range(report.listeners, std::tie(port, address), {}, place_of);
  return {found.begin(), found.end()};
}

Listeners serving(const ListenerReport& report, const ConfigAddress& address, uint16_t port) {
  Listeners found = bound_to(report, address, port);
  const bool v4 = is_mapped(address);
  if (found.empty() && v4) found = bound_to(report, kAnyV4, port);
  return found.empty() ? bound_to(report, kAnyV6, port) : found;
}

uint64_t least_known(uint64_t a, uint64_t b) { return a == 0 || b == 0 ? a + b : std::min(a, b); }

/// A part of it; none of nothing.
uint64_t part_of(uint64_t whole, uint64_t parts) {
  return whole == 0 ? 0 : std::max<uint64_t>(1, whole / parts);
}

/// `least` with one more place.
void take(LeastQueues& least, Listeners siblings, bool shared) {
  uint64_t backlog = 0, fast_open = 0;
  for (const Listener& one : siblings) {
    if (!one.may_fast_open()) continue;
    backlog += one.backlog;
    if (one.fast_open) {
      fast_open += one.fast_open->limit;
    } else {
      least.fast_open.reset();
    }
  }
  const uint64_t parts = shared && !siblings.empty() ? std::max(1U, siblings.front().vips) : 1;
  least.backlog = least_known(least.backlog, part_of(backlog, parts));
  if (least.fast_open) {
    least.fast_open = least_known(*least.fast_open, part_of(fast_open, parts));
  }
}

/// Calls `take_place` with each place that serves the VIP, some more than once.
void for_places(const ListenerReport& report, const VipConfig& vip,
                const std::function<void(Listeners)>& take_place) {
  for (const ConfigAddress& address : vip.addresses) {
    for (const uint16_t port : vip.ports) take_place(serving(report, address, port));
    if (!vip.ports.empty()) continue;
    std::optional<uint16_t> seen;
    for (const Listener& one : report.listeners) {
      if (one.port != seen) take_place(serving(report, address, one.port));
      seen = one.port;
    }
  }
}

}  // namespace

LeastQueues least_queues(const ListenerReport& report) {
  LeastQueues least;
  for (Listeners left = report.listeners; !left.empty();) {
    const Listeners siblings = first_place(left);
    take(least, siblings, false);
    left = left.subspan(siblings.size());
  }
  return least;
}

void count_vips(ListenerReport& report, const std::vector<VipConfig>& vips,
                const std::string& pool) {
  std::vector<unsigned> counts(report.listeners.size());
  for (const VipConfig& vip : vips) {
    if (vip.pool != pool) continue;
    std::set<size_t> places;  // by their first listener
    for_places(report, vip, [&](Listeners place) {
      if (!place.empty()) places.insert(static_cast<size_t>(&place[0] - report.listeners.data()));
    });
    for (const size_t first : places) ++counts[first];
  }
  for (size_t i = 0; i < counts.size(); ++i) {
    Listener& one = report.listeners[i];
    const bool sibling = i > 0 && place_of(one) == place_of(report.listeners[i - 1]);
    one.vips = sibling ? report.listeners[i - 1].vips : counts[i];
  }
}

LeastQueues least_queues(const ListenerReport& report, const VipConfig& vip) {
  LeastQueues least;
  for_places(report, vip, [&](Listeners place) { take(least, place, true); });
  return least;
}

}  // namespace tfo
