// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/rotation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>

namespace tfo {
namespace {

/// Below this a difference between the two clocks is rounding and slewing, not a step.
constexpr int64_t kStepTolerance = 5;

/// Seconds that have really passed since the anchor; after a reboot only the wall clock can tell,
/// and it is not believed when it says that time went backwards.
int64_t elapsed(const TimeAnchor& anchor, const Moment& now) {
  if (!anchor.boot_id.empty() && anchor.boot_id == now.boot_id) {
    return std::max<int64_t>(0, now.boot_s - anchor.boot_s);
  }
  return std::max<int64_t>(0, now.unix_s - anchor.unix_s);
}

/// Moves a time; 0 keeps its meaning of "never".
void shift(int64_t& time, int64_t step) {
  if (time != 0) {
    time = time + step == 0 ? 1 : time + step;
  }
}

/// Moves all times along with a wall clock that was set, so that every age stays what it was.
bool follow_clock(RotationState& state, const Moment& now) {
  const int64_t expected = state.anchor.unix_s + elapsed(state.anchor, now);
  const int64_t step = now.unix_s - expected;
  state.anchor = {.unix_s = now.unix_s, .boot_s = now.boot_s, .boot_id = now.boot_id};
  if (std::abs(step) <= kStepTolerance) {
    return false;
  }
  shift(state.rotated_at, step);
  for (Generation& generation : state.ring.generations) {
    shift(generation.created_at, step);
    shift(generation.not_after, step);
  }
  return true;
}

bool in_slots(const KeyRing& ring, const Generation& generation) {
  return generation.place == TFO_PLACE_CURRENT || &generation == ring.backup() ||
         (ring.phase != Phase::steady && generation.place <= TFO_PLACE_STAGED);
}

bool expired(const Generation& generation, int64_t now) {
  return generation.not_after != 0 && generation.not_after <= now;
}

/// Whatever holds that place becomes `to`.
void move(KeyRing& ring, tfo_place from, tfo_place to) {
  for (Generation& generation : ring.generations) {
    if (generation.place == from) {
      generation.place = to;
    }
  }
}

/// The place of the nth key in a list as people give it: current, previous, retired...
tfo_place nth_place(size_t nth) {
  if (nth == 0) {
    return TFO_PLACE_CURRENT;
  }
  return nth == 1 ? TFO_PLACE_PREVIOUS : TFO_PLACE_RETIRED;
}

uint64_t new_id() {
  uint64_t id = 0;
  while (id == 0) {
    const Key random = Key::random();
    std::memcpy(&id, random.bytes().data(), sizeof(id));
  }
  return id;
}

RotationState changed(RotationState state) {
  ++state.ring.revision;
  state.ring.renewal = local_renewal(state.ring);
  return state;
}

/// staged -> minting.
RotationState mint(RotationState state) {
  move(state.ring, TFO_PLACE_CURRENT, TFO_PLACE_PREVIOUS);
  move(state.ring, TFO_PLACE_STAGED, TFO_PLACE_CURRENT);
  state.ring.phase = Phase::minting;
  state.ring.sort();
  return changed(std::move(state));
}

}  // namespace

Renewal local_renewal(const KeyRing& ring) {
  const Generation* current = ring.current();
  const Generation* previous = ring.previous();
  if (current == nullptr) return {};
  switch (ring.phase) {
    case Phase::steady:
      if (previous == nullptr) return {.target = current->id, .held = {current->id}};
      return {.target = previous->id, .held = {current->id, previous->id}};
    case Phase::prepare:
    case Phase::staged:
      return {.target = current->id, .held = {current->id}};
    case Phase::minting:
      // It has just stopped minting: servers that did not follow yet have it as their first key.
      if (previous != nullptr) return {.target = previous->id, .held = {previous->id}};
      break;
  }
  return {};
}

int64_t RotationPolicy::default_not_after(int64_t interval) {
  return std::min(interval > kMaxNotAfter ? kMaxNotAfter : 3 * interval, kMaxNotAfter);
}

Result<> RotationPolicy::check() const {
  if (interval < 0) {
    return fail("interval must be 0 (by command only) or a positive duration");
  }
  if (accept_generations > kMaxAccepted) {
    return fail(fmt::format("accept_generations must be 0 to {}", kMaxAccepted));
  }
  if (interval == 0 && not_after != 0) {
    return fail("not_after must be 0 where interval is 0: nobody would replace the expired key");
  }
  if (interval > 0 && (not_after < 2 || not_after > kMaxNotAfter)) {
    return fail("not_after must be 2 seconds to 7 days");
  }
  return {};
}

int64_t Rotation::span() const { return std::min(policy_.interval, policy_.not_after); }

Generation Rotation::make(int64_t now, const Key& key, tfo_place place) const {
  return {.id = new_id(),
          .key = key,
          .place = place,
          .created_at = now,
          .not_after = policy_.not_after == 0 ? 0 : now + policy_.not_after};
}

void Rotation::trim(KeyRing& ring) const {
  unsigned retired = 0;
  std::erase_if(ring.generations, [&](const Generation& g) {
    return g.place == TFO_PLACE_RETIRED && ++retired > policy_.accept_generations;
  });
}

bool Rotation::drop_expired(KeyRing& ring, int64_t now) const {
  std::vector<uint64_t> leaving;
  for (const Generation& generation : ring.generations) {
    const bool needed = generation.place == TFO_PLACE_CURRENT ||
                        (ring.phase != Phase::steady && in_slots(ring, generation));
    if (expired(generation, now) && !needed) {
      leaving.push_back(generation.id);
    }
  }
  for (const uint64_t id : leaving) {
    std::erase_if(ring.generations, [&](const Generation& g) { return g.id == id; });
  }
  return !leaving.empty();
}

bool Rotation::extend_slots(KeyRing& ring, int64_t now) const {
  bool extended = false;
  for (Generation& generation : ring.generations) {
    if (generation.not_after != 0 && in_slots(ring, generation) &&
        generation.not_after - now <= span() / 2) {
      generation.not_after = now + span();
      extended = true;
    }
  }
  return extended;
}

void Rotation::apply_policy(KeyRing& ring, int64_t now) const {
  for (Generation& generation : ring.generations) {
    int64_t& until = generation.not_after;
    if (policy_.not_after == 0) {
      until = 0;
      continue;
    }
    const int64_t most = now + policy_.not_after;
    if (until == 0) {
      until = most;
    } else if (in_slots(ring, generation)) {
      until = std::max(until, generation.created_at + policy_.not_after);
    }
    until = std::min(until, most);
  }
  if (ring.phase == Phase::steady) {
    trim(ring);
  }
}

Result<RotationState> Rotation::first(const Moment& now, const std::vector<Key>& keys) const {
  RotationState state;
  const std::vector<Key> wanted = keys.empty() ? std::vector<Key>{make_key_()} : keys;
  if (auto usable = check_keys(wanted); !usable) {
    return tl::unexpected(std::move(usable.error()));
  }
  size_t place = 0;
  for (const Key& key : wanted) {
    state.ring.generations.push_back(make(now.unix_s, key, nth_place(place++)));
  }
  state.rotated_at = now.unix_s;
  state.anchor = {.unix_s = now.unix_s, .boot_s = now.boot_s, .boot_id = now.boot_id};
  return changed(std::move(state));
}

RotationState Rotation::reopened(RotationState state, const Moment& now) const {
  follow_clock(state, now);
  apply_policy(state.ring, now.unix_s);
  maintain(state, now);
  return changed(std::move(state));
}

bool Rotation::maintain(RotationState& state, const Moment& now) const {
  const bool stepped = follow_clock(state, now);
  const bool dropped = drop_expired(state.ring, now.unix_s);
  const bool extended = extend_slots(state.ring, now.unix_s);
  if (stepped || dropped || extended) {
    state = changed(std::move(state));
    return true;
  }
  return false;
}

RotationState Rotation::settle(RotationState state, int64_t now) const {
  state.ring.phase = Phase::steady;
  if (!state.import_order.empty()) {
    arrange(state.ring, state.import_order);
    state.import_order.clear();
  }
  trim(state.ring);
  state.rotated_at = now;
  return changed(std::move(state));
}

RotationState Rotation::stage(RotationState state, const Generation& next) {
  KeyRing& ring = state.ring;
  std::erase_if(ring.generations, [&](const Generation& g) { return g.id == next.id; });
  move(ring, TFO_PLACE_PREVIOUS, TFO_PLACE_RETIRED);
  ring.generations.push_back(next);
  ring.generations.back().place = TFO_PLACE_STAGED;
  ring.phase = Phase::staged;
  ring.sort();
  return changed(std::move(state));
}

std::optional<RotationState> Rotation::advance(const RotationState& state, const Moment& now,
                                               bool confirmed) const {
  if (!confirmed) {
    return std::nullopt;
  }
  switch (state.ring.phase) {
    case Phase::staged:
      return mint(state);
    case Phase::minting:
      return settle(state, now.unix_s);
    case Phase::steady: {
      const auto due = next_rotation(state);
      if (due && *due <= now.unix_s) {
        return stage(state, make(now.unix_s, make_key_(), TFO_PLACE_STAGED));
      }
      return std::nullopt;
    }
    case Phase::prepare:
      break;
  }
  return std::nullopt;
}

Result<RotationState> Rotation::rotate(const RotationState& state, const Moment& now) const {
  if (state.ring.phase != Phase::steady) {
    return fail(
        fmt::format("a rotation is under way already (phase {})", to_string(state.ring.phase)));
  }
  return stage(state, make(now.unix_s, make_key_(), TFO_PLACE_STAGED));
}

std::optional<int64_t> Rotation::next_rotation(const RotationState& state) const {
  if (policy_.interval == 0) {
    return std::nullopt;
  }
  return state.rotated_at + policy_.interval;
}

std::optional<int64_t> Rotation::next_wakeup(const RotationState& state) const {
  std::optional<int64_t> wakeup;
  if (state.ring.phase == Phase::steady) {
    wakeup = next_rotation(state);
  }
  for (const Generation& generation : state.ring.generations) {
    if (generation.not_after != 0) {
      const int64_t at = in_slots(state.ring, generation) ? generation.not_after - span() / 2
                                                          : generation.not_after;
      wakeup = std::min(wakeup.value_or(at), at);
    }
  }
  return wakeup;
}

}  // namespace tfo
