// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/derived_change.h"

#include <algorithm>
#include <cstdlib>

namespace tfo {
namespace {

/// Lives that are shifted along with a clock that is not trusted wobble by a second.
constexpr int64_t kTolerance = 5;

bool same_generation(const Generation& a, const Generation& b) {
  return a.id == b.id && a.place == b.place && std::abs(a.not_after - b.not_after) <= kTolerance &&
         a.key == b.key;
}

}  // namespace

bool same_slots(const KeyRing& a, const KeyRing& b) {
  const auto same = [&](tfo_place place) {
    const Generation* one = a.find(place);
    const Generation* other = b.find(place);
    return one == nullptr || other == nullptr ? one == other : one->key == other->key;
  };
  return same(TFO_PLACE_CURRENT) && same(TFO_PLACE_PREVIOUS) && same(TFO_PLACE_STAGED);
}

bool same_ring(const KeyRing& a, const KeyRing& b) {
  return a.phase == b.phase && a.renewal.target == b.renewal.target &&
         a.renewal.held == b.renewal.held && a.renewal.until == b.renewal.until &&
         a.fresh_until == b.fresh_until &&
         std::ranges::equal(a.generations, b.generations, same_generation);
}

}  // namespace tfo
