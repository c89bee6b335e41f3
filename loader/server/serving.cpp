// SPDX-License-Identifier: BSD-2-Clause
#include "loader/server/serving.h"

#include <algorithm>
#include <span>
#include <tuple>

namespace tfo {
namespace {

using Listeners = std::span<const Listener>;

constexpr ConfigAddress kAnyV4 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
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
  const bool v4 = std::equal(kAnyV4.begin(), kAnyV4.begin() + 12, address.begin());
  if (found.empty() && v4) found = bound_to(report, kAnyV4, port);
  return found.empty() ? bound_to(report, kAnyV6, port) : found;
}

uint64_t least_known(uint64_t a, uint64_t b) { return a == 0 || b == 0 ? a + b : std::min(a, b); }

/// `least` with one more place.
void take(LeastQueues& least, Listeners siblings) {
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
  least.backlog = least_known(least.backlog, backlog);
  if (least.fast_open) least.fast_open = least_known(*least.fast_open, fast_open);
}

}  // namespace

LeastQueues least_queues(const ListenerReport& report) {
  LeastQueues least;
  for (Listeners left = report.listeners; !left.empty();) {
    const Listeners siblings = first_place(left);
    take(least, siblings);
    left = left.subspan(siblings.size());
  }
  return least;
}

LeastQueues least_queues(const ListenerReport& report, const VipConfig& vip) {
  LeastQueues least;
  for (const ConfigAddress& address : vip.addresses) {
    for (const uint16_t port : vip.ports) take(least, serving(report, address, port));
    if (!vip.ports.empty()) continue;
    std::optional<uint16_t> seen;
    for (const Listener& one : report.listeners) {
      if (one.port != seen) take(least, serving(report, address, one.port));
      seen = one.port;
    }
  }
  return least;
}

}  // namespace tfo
