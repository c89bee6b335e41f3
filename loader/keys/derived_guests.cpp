// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/derived_guests.h"

#include <algorithm>

namespace tfo {

Generation guest(Generation generation, int64_t end) {
  generation.place = TFO_PLACE_RETIRED;
  generation.not_after = generation.not_after == 0 ? end : std::min(generation.not_after, end);
  return generation;
}

void sort_guests(std::vector<Generation>& generations, int64_t now, int64_t interval) {
  const auto to_come = [&](const Generation& one) { return one.created_at > now + interval; };
  std::ranges::stable_sort(generations, [&](const Generation& a, const Generation& b) {
    if (a.place != b.place || a.place != TFO_PLACE_RETIRED) return a.place < b.place;
    if (to_come(a) != to_come(b)) return to_come(b);
    return a.created_at > b.created_at;
  });
}

void bound_guests(std::vector<Generation>& guests, int64_t now, int64_t interval) {
  std::vector<Generation> kept;
  sort_guests(guests, now, interval);
  for (const Generation& one : guests) {
    const auto same = std::ranges::find(kept, one.key, &Generation::key);
    if (same != kept.end()) {
      same->not_after = std::max(same->not_after, one.not_after);
    } else if (kept.size() < TFO_MAX_GENERATIONS) {
      kept.push_back(one);
    }
  }
  guests = std::move(kept);
}

void add_guests(KeyRing& ring, const std::vector<Generation>& guests, int64_t now,
                int64_t interval) {
  for (const Generation& one : guests) {
    if (one.not_after <= now || ring.find(one.key) != nullptr) continue;
    ring.generations.push_back(one);
  }
  sort_guests(ring.generations, now, interval);
  if (ring.generations.size() > TFO_MAX_GENERATIONS) ring.generations.resize(TFO_MAX_GENERATIONS);
}

}  // namespace tfo
