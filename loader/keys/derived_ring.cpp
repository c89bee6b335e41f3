// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/derived_ring.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "loader/keys/rotation.h"

namespace tfo {
namespace {

std::optional<Key> key_of(const DerivedSecret& secret, int64_t index) {
  return index < 0 ? std::nullopt : secret.key(static_cast<uint64_t>(index));
}

/// 0 if there is no such key.
uint64_t id_of(const DerivedSecret& secret, int64_t index) {
  const auto key = key_of(secret, index);
  return key ? derived_id(*key) : 0;
}

/// Adds keys to one ring.
class Builder {
 public:
  Builder(const DerivedSecret& secret, const DerivedPolicy& policy, const DerivedHalf& half)
      : secret_(secret),
        policy_(policy),
        deadline_(half.begins(policy.interval) + policy.not_after) {}

  bool add(int64_t index, tfo_place place) {
    const auto key = key_of(secret_, index);
    if (!key || ring_.find(*key) != nullptr) return false;
    const int64_t accepted = policy_.accept_generations;
    const int64_t leaves = (index + accepted + 2) * policy_.interval + kDerivedDelay;
    ring_.generations.push_back({.id = derived_id(*key),
                                 .key = *key,
                                 .place = place,
                                 .created_at = index * policy_.interval,
                                 .not_after = std::min(leaves, deadline_)});
    return true;
  }

  KeyRing take() { return std::move(ring_); }

 private:
  const DerivedSecret& secret_;
  const DerivedPolicy& policy_;
  int64_t deadline_;
  KeyRing ring_;
};

}  // namespace

Result<> DerivedPolicy::check() const {
  if (auto usable = check_derived_interval(interval); !usable) return usable;
  if (max_skew_ms < 0 || max_skew_ms > kMaxSkewLimit) {
    return fail("max_skew must be 0 to an hour");
  }
  if (accept_generations > RotationPolicy::kMaxAccepted) {
    return fail(fmt::format("accept_generations must be 0 to {}", RotationPolicy::kMaxAccepted));
  }
  if (not_after < interval || not_after > RotationPolicy::kMaxNotAfter) {
    return fail("not_after must be from one interval to 7 days");
  }
  return {};
}

Result<> DerivedPolicy::can_renew() const {
  if (4 * margin() <= interval) return {};
  const int64_t room = interval / 4 - 5;  // s, for twice max_skew
  const std::string shorter =
      room < 0 ? "" : fmt::format("a max_skew of at most {} ms, or ", room * 500);
  return fail(fmt::format(
      "renewal needs an interval of at least 4 x (2 x max_skew + 5 s), to know what every server "
      "holds: give {}an interval of at least {} s",
      shorter, 4 * margin()));
}

DerivedHalf DerivedHalf::at(int64_t interval, int64_t unix_s) {
  const int64_t acted = std::max<int64_t>(unix_s - kDerivedDelay, 0);
  return {.index = acted / interval, .second = acted % interval >= interval / 2};
}

int64_t DerivedHalf::begins(int64_t interval) const {
  return index * interval + (second ? interval / 2 : 0);
}

int64_t DerivedHalf::ends(int64_t interval) const {
  return begins(interval) + interval / 2 + kDerivedDelay;
}

Result<KeyRing> derived_ring(const DerivedSecret& secret, const DerivedPolicy& policy,
                             const DerivedHalf& half) {
  Builder builder(secret, policy, half);
  if (!builder.add(half.index, TFO_PLACE_CURRENT)) {
    return fail(fmt::format(
        "no key for the present interval, whose index is {}: the secret's lines begin with {}",
        half.index, secret.first_index()));
  }
  if (!half.second) builder.add(half.index - 1, TFO_PLACE_PREVIOUS);
  builder.add(half.index + 1, TFO_PLACE_STAGED);
  const int64_t newest = half.index - (half.second ? 1 : 2);
  const int64_t oldest = half.index - 1 - policy.accept_generations;
  for (int64_t index = newest; index >= oldest; --index) builder.add(index, TFO_PLACE_RETIRED);
  KeyRing ring = builder.take();
  ring.phase = half.second ? Phase::staged : Phase::prepare;
  ring.sort();
  return ring;
}

Renewal derived_renewal(const DerivedSecret& secret, const DerivedPolicy& policy, int64_t unix_s) {
  const int64_t margin = policy.margin();
  const int64_t half = policy.interval / 2;
  const int64_t shifted = unix_s - half + margin;  // the target's interval begins at 0
  if (!policy.can_renew() || shifted < 0) return {};
  const int64_t target = shifted / policy.interval;
  const int64_t middle = target * policy.interval + half;
  Renewal renewal{.target = id_of(secret, target), .held = {}, .until = 0};
  if (renewal.target == 0) return {};
  renewal.held.push_back(renewal.target);
  const uint64_t next = unix_s >= middle + margin ? id_of(secret, target + 1) : 0;
  if (next != 0) renewal.held.push_back(next);
  renewal.until = middle + policy.interval - margin;
  return renewal;
}

int64_t next_derived_moment(const DerivedPolicy& policy, int64_t unix_s) {
  const int64_t half = policy.interval / 2;
  const int64_t margin = policy.margin();
  const int64_t begin = unix_s / policy.interval * policy.interval - half;
  int64_t next = DerivedHalf::at(policy.interval, unix_s).ends(policy.interval);
  for (int64_t middle = begin; middle <= unix_s + policy.interval; middle += policy.interval) {
    for (const int64_t moment : {middle - margin, middle + margin}) {
      if (moment > unix_s) next = std::min(next, moment);
    }
  }
  return next;
}

uint64_t derived_id(const Key& key) {
  static constexpr unsigned char kPurpose[crypto_generichash_KEYBYTES] = "tfoguard generation id";
  unsigned char digest[crypto_generichash_BYTES_MIN];
  crypto_generichash(digest, sizeof(digest), key.bytes().data(), key.bytes().size(), kPurpose,
                     sizeof(kPurpose));
  uint64_t id = 0;
  std::memcpy(&id, digest, sizeof(id));
  return id == 0 ? 1 : id;
}

}  // namespace tfo
