// SPDX-License-Identifier: BSD-2-Clause
// What validators are told to renew to: the store's word, borne out by this node's servers.
#include <algorithm>
#include <utility>

#include "loader/keys/pool.h"

namespace tfo {

/// Has validators take the ring again, and says so, if what is known of the servers has changed.
bool KeyPool::review_renewal() {
  Renewal renewal = borne_out();
  if (renewal == renewal_) {
    return false;
  }
  renewal_ = std::move(renewal);
  for (Place& place : places_) {
    if (place.sink->role() == KeySink::Role::validator) {
      place.revision = 0;
    }
  }
  return true;
}

/// What the store says of all servers, less what this node's own are not known to hold.
Renewal KeyPool::borne_out() const {
  Renewal renewal = ring().renewal;
  for (const Place& place : places_) {
    if (place.sink->role() != KeySink::Role::server || place.sink->gone()) {
      continue;
    }
    const std::vector<Key> slots = slots_of(place);
    std::erase_if(renewal.held, [&](uint64_t id) {
      const Generation* generation = ring().find(id);
      return generation == nullptr ||
             std::find(slots.begin(), slots.end(), generation->key) == slots.end();
    });
  }
  const auto& held = renewal.held;
  return std::find(held.begin(), held.end(), renewal.target) == held.end() ? Renewal{} : renewal;
}

/// A server that lacks the present ring, or was overwritten, is asked.
std::vector<Key> KeyPool::slots_of(const Place& place) const {
  if (place.revision != ring().revision || !place.drift.empty()) {
    return place.sink->held().value_or(std::vector<Key>());
  }
  std::vector<Key> keys;
  for (const Generation* generation : {ring().current(), ring().backup()}) {
    if (generation != nullptr) {
      keys.push_back(generation->key);
    }
  }
  return keys;
}

KeyRing KeyPool::offered() const {
  KeyRing offered = ring();
  offered.renewal = renewal_;
  return offered;
}

}  // namespace tfo
