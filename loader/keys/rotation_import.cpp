// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "loader/keys/rotation.h"

namespace tfo {
namespace {

bool contains(const std::vector<uint64_t>& ids, uint64_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

/// While an import is under way, the key that it leaves and the imported ones must fit beside each
/// other; the oldest of the others make room.
void make_room(KeyRing& ring, const std::vector<uint64_t>& imported) {
  for (size_t i = ring.generations.size(); i > 0 && ring.generations.size() > TFO_MAX_GENERATIONS;
       --i) {
    const Generation& candidate = ring.generations[i - 1];
    if (candidate.place != TFO_PLACE_CURRENT && !contains(imported, candidate.id)) {
      ring.generations.erase(ring.generations.begin() + static_cast<std::ptrdiff_t>(i) - 1);
    }
  }
}

/// Adds those that are new, as retired for now; returns the ids of all in the order given.
Result<std::vector<uint64_t>> identify(KeyRing& ring, const std::vector<Key>& keys,
                                       const std::function<Generation(const Key&)>& make) {
  std::vector<uint64_t> order;
  for (const Key& key : keys) {
    const Generation* known = ring.find(key);
    if (known != nullptr && known->place == TFO_PLACE_REVOKED) {
      return fail(fmt::format("key {} was revoked and cannot be imported", key.fingerprint()));
    }
    if (known == nullptr) {
      ring.generations.push_back(make(key));
    }
    order.push_back(ring.find(key)->id);
  }
  ring.sort();
  return order;
}

}  // namespace

void Rotation::arrange(KeyRing& ring, const std::vector<uint64_t>& order) {
  // One key alone leaves the backup slot as it is.
  uint64_t previous = 0;
  if (order.size() > 1) {
    previous = order[1];
  } else if (ring.previous() != nullptr) {
    previous = ring.previous()->id;
  }
  for (Generation& generation : ring.generations) {
    if (generation.id == order[0]) {
      generation.place = TFO_PLACE_CURRENT;
    } else if (generation.id == previous) {
      generation.place = TFO_PLACE_PREVIOUS;
    } else if (generation.place != TFO_PLACE_REVOKED) {
      generation.place = TFO_PLACE_RETIRED;
    }
  }
  const auto rank = [&](const Generation& g) {
    return std::distance(order.begin(), std::find(order.begin(), order.end(), g.id));
  };
  std::stable_sort(ring.generations.begin(), ring.generations.end(),
                   [&](const Generation& a, const Generation& b) { return rank(a) < rank(b); });
  ring.sort();
}

Result<> Rotation::check_keys(const std::vector<Key>& keys) const {
  const size_t most = 2 + policy_.accept_generations;
  if (keys.empty()) {
    return fail("no key to import; give at least the current one");
  }
  if (keys.size() > most) {
    return fail(
        fmt::format("{} keys to import; this pool holds {} (current, previous and "
                    "accept_generations = {})",
                    keys.size(), most, policy_.accept_generations));
  }
  KeyRing probe;
  for (const Key& key : keys) {
    const size_t id = probe.generations.size() + 1;
    const tfo_place place = id == 1 ? TFO_PLACE_CURRENT : TFO_PLACE_RETIRED;
    probe.generations.push_back({.id = id, .key = key, .place = place});
  }
  return probe.check();
}

Result<RotationState> Rotation::import(const RotationState& state, const Moment& now,
                                       const std::vector<Key>& keys) const {
  if (policy_.interval > 0) {
    return fail(
        "this pool rotates by itself and would leave the imported keys again; set its \"interval\" "
        "to \"0\" to keep keys in step by import");
  }
  if (state.ring.phase == Phase::minting) {
    return fail(
        "a rotation is under way and cannot be turned back any more; import when it is complete "
        "(phase steady)");
  }
  if (auto usable = check_keys(keys); !usable) {
    return tl::unexpected(std::move(usable.error()));
  }
  RotationState next = state;
  KeyRing& ring = next.ring;
  // A staged key that nobody mints with yet gives way.
  std::erase_if(ring.generations, [](const Generation& g) { return g.place == TFO_PLACE_STAGED; });
  auto order = identify(ring, keys,
                        [&](const Key& key) { return make(now.unix_s, key, TFO_PLACE_RETIRED); });
  if (!order) {
    return tl::unexpected(std::move(order.error()));
  }
  make_room(ring, *order);
  next.import_order = *order;
  if (order->front() == ring.current()->id) {
    return settle(std::move(next), now.unix_s);
  }
  const Generation target = *ring.find(order->front());
  return stage(std::move(next), target);
}

}  // namespace tfo
