// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/derived_store.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>

#include "loader/keys/derived_change.h"
#include "loader/keys/derived_guests.h"
#include "loader/keys/derived_text.h"

namespace tfo {

DerivedStore::DerivedStore(Files files, DerivedPolicy policy, CountStaged count_staged)
    : files_(std::move(files)),
      state_(files_.state),
      policy_(policy),
      count_staged_(std::move(count_staged)) {}

void DerivedStore::inherit(const KeyRing& before, int64_t now) {
  for (const Generation& generation : before.generations) {
    if (generation.place == TFO_PLACE_REVOKED) continue;
    guests_.push_back(guest(generation, now + policy_.not_after));
  }
  inherited_ = !guests_.empty();
}

Result<> DerivedStore::check_first_start(const Moment& now) const {
  struct stat info{};
  if (now.synchronised || stat(files_.secret.c_str(), &info) != 0 ||
      now.unix_s >= info.st_mtim.tv_sec) {
    return {};
  }
  return fail(fmt::format(
      "the wall clock reads {}, which is before the secret {} was written, and nobody keeps it "
      "right: set it, or let it be synchronised (NTP)",
      utc_text(now.unix_s), files_.secret));
}

Result<> DerivedStore::open(const Moment& now, const std::vector<Key>& host) {
  if (auto usable = policy_.check(); !usable) return usable;
  if (auto read = look_at_secret({}); !read) return read;
  const auto loaded = state_.load();
  // With a clock that is right, what was remembered of an older one does not matter.
  if (!loaded && !now.synchronised) return tl::unexpected(loaded.error());
  const std::optional<DerivedState> known = loaded ? *loaded : std::nullopt;
  if (known) {
    clock_.restore(known->acted_at);
  } else if (auto sure = check_first_start(now); !sure) {
    return sure;
  }
  made_ = loaded && !known;
  at_ = clock_.read(now);
  if (auto entered = enter(DerivedHalf::at(policy_.interval, at_.unix_s)); !entered) {
    return tl::unexpected(std::move(entered.error()).in("secret " + files_.secret));
  }
  take_host_keys(host);
  if (known) restore(*known);
  publish();
  // A disk that is full or read-only is no reason to start without keys.
  unsaved_ = !save();
  return {};
}

/// So that a secret that was replaced before this start costs the clients of this host's servers
/// nothing.
void DerivedStore::take_host_keys(const std::vector<Key>& host) {
  for (const Key& key : host) {
    if (key.is_zero() || base_.find(key) != nullptr) continue;
    guests_.push_back({.id = derived_id(key),
                       .key = key,
                       .place = TFO_PLACE_RETIRED,
                       .created_at = at_.unix_s - policy_.interval,
                       .not_after = at_.unix_s + policy_.not_after});
  }
  bound_guests(guests_, at_.unix_s, policy_.interval);
}

/// Does the secret give other keys than those that the servers had, and have reason to come again?
bool DerivedStore::has_other_slots(const DerivedState& known) const {
  if (known.interval != policy_.interval || at_.unix_s - known.acted_at >= policy_.not_after) {
    return false;
  }
  const int64_t oldest = half_.index - 1 - policy_.accept_generations;
  return std::ranges::any_of(known.slots, [&](const DerivedState::Name& slot) {
    const auto key = secret_->key(static_cast<uint64_t>(slot.index));
    // A line that is over may be removed.
    return key ? derived_id(*key) != slot.id : slot.index >= oldest;
  });
}

/// Times of a clock that was ahead since then count as now.
void DerivedStore::restore(const DerivedState& known) {
  const int64_t now = at_.unix_s;
  const int64_t edge = half_.begins(policy_.interval) + policy_.interval / 2;
  renew_from_ = std::min(known.renew_from, edge + policy_.margin());
  replaced_until_ = std::min(known.replaced_until, edge + policy_.interval);
  stepped_until_ = std::min(known.stepped_until, now + policy_.interval);
  step_ = known.step;
  staged_.restore(static_cast<uint64_t>(known.staged_seen), known.staged_at, now);
  found_ = known;
  if (has_other_slots(known)) {
    // The others change over at the next half only.
    renew_from_ = edge + policy_.margin();
    replaced_until_ = edge + policy_.interval;
  }
  cold_ = now < replaced_until_;
}

void DerivedStore::abandon() {
  if (made_) state_.remove();
  // A store that goes on in our place has the keys of before.
  if (found_ && !state_.save(*found_)) found_.reset();
  made_ = false;
}

/// Reads the secret, which must have a key for `half`, and takes it over unless that changes what
/// servers hold.
Result<> DerivedStore::look_at_secret(const DerivedHalf& half) {
  auto read = DerivedSecret::load(files_.secret);
  if (const auto usable = read ? read->check() : Result<>(); !usable) {
    read = fail("secret " + files_.secret + ": " + usable.error().message);
  }
  const bool first = !secret_;
  auto ring = read && !first ? derived_ring(*read, policy_, half) : Result<KeyRing>(KeyRing());
  lost_ = !read || !ring;
  if (!read) return tl::unexpected(std::move(read.error()));
  if (!ring) return tl::unexpected(std::move(ring.error()).in("secret " + files_.secret));
  next_.reset();
  const auto present = derived_ring(*read, policy_, half_);
  if (first || (present && same_slots(*present, base_))) {
    secret_ = std::make_unique<DerivedSecret>(std::move(*read));
  } else {
    next_ = std::make_unique<DerivedSecret>(std::move(*read));
  }
  return {};
}

Result<> DerivedStore::enter(const DerivedHalf& half) {
  const DerivedSecret& wanted = next_ ? *next_ : *secret_;
  auto ring = derived_ring(wanted, policy_, half);
  if (!ring) return tl::unexpected(std::move(ring.error()));
  const auto before = next_ ? derived_ring(*secret_, policy_, half) : Result<KeyRing>(*ring);
  half_ = half;
  if (before) replace_secret(*before, *ring);
  if (next_) secret_ = std::move(next_);
  base_ = std::move(*ring);
  unsaved_ = true;
  return {};
}

/// `before` and `after` are what the old and the new secret make of the half that begins.
void DerivedStore::replace_secret(const KeyRing& before, const KeyRing& after) {
  if (before.current()->key == after.current()->key) return;
  const int64_t begins = half_.begins(policy_.interval);
  const int64_t end = begins + policy_.not_after;
  for (const KeyRing& ring : {std::cref(before), std::cref(base_)}) {
    for (const Generation& generation : ring.generations) {
      guests_.push_back(guest(generation, end));
    }
  }
  bound_guests(guests_, begins, policy_.interval);
  renew_from_ = begins + policy_.margin();
  replaced_until_ = begins + policy_.interval;
  cold_ = false;
}

Renewal DerivedStore::renewal() const {
  const int64_t now = at_.unix_s;
  if (!at_.sure || now < renew_from_ || now < stepped_until_) return {};
  if (staged_.suspect(now, policy_.interval)) return {};
  Renewal renewal = derived_renewal(*secret_, policy_, now);
  if (next_) {
    // A server whose clock is ahead may change over to the new secret so much earlier.
    const int64_t change = half_.ends(policy_.interval) - kDerivedDelay - policy_.margin();
    renewal.until = std::min(renewal.until, change);
  }
  return renewal.until <= now ? Renewal() : renewal;
}

bool DerivedStore::publish() {
  KeyRing ring = base_;
  add_guests(ring, guests_, at_.unix_s, policy_.interval);
  if (next_) {
    const auto announced = derived_ring(*next_, policy_, half_);
    std::vector<Generation> newcomers;
    for (const Generation& one : announced ? announced->generations : std::vector<Generation>()) {
      newcomers.push_back(guest(one, one.not_after));
    }
    add_guests(ring, newcomers, at_.unix_s, policy_.interval);
  }
  if (!lost_) renewal_ = renewal();
  ring.renewal = at_.sure && ring.find(renewal_.target) != nullptr ? renewal_ : Renewal();
  // A clock that may be wrong, or a lost secret: others may use keys by now that are not here.
  ring.fresh_until = at_.sure && !lost_ ? 0 : 1;
  for (Generation& generation : ring.generations) generation.not_after += at_.shift;
  if (same_ring(ring, ring_)) return false;
  ring.revision = ring_.revision + 1;
  ring_ = std::move(ring);
  published_at_ = at_.unix_s;
  return true;
}

void DerivedStore::watch(const Confirmation& confirmed) {
  if (!count_staged_ || !at_.sure || !staged_.due(at_.unix_s, policy_.interval)) return;
  // What was counted before the validator had this ring belongs to the one before.
  if (!confirmed.covers(ring_) || at_.unix_s <= published_at_) return;
  const auto count = count_staged_();
  if (!count) {
    staged_.forget();
    return;
  }
  const int64_t staged = half_.index + 1;
  const int64_t grew_at = staged_.grew_at();
  staged_.look(*count, at_.unix_s, staged, staged * policy_.interval - policy_.margin());
  if (staged_.grew_at() != grew_at) unsaved_ = true;
}

/// Whether it is right now or was right before, nobody here knows.
void DerivedStore::clock_set() {
  guests_.insert(guests_.end(), base_.generations.begin(), base_.generations.end());
  for (Generation& one : guests_) {
    // Their lives go on as if the clock had always been what it is now.
    one.not_after += at_.step;
    one = guest(one, at_.unix_s + policy_.not_after);
  }
  bound_guests(guests_, at_.unix_s, policy_.interval);
  staged_.clock_set(at_.unix_s);
  step_ = at_.step;
  stepped_until_ = at_.unix_s + policy_.interval;
  // Moments of a clock that was ahead would hold things up until it is there again.
  renew_from_ = std::min(renew_from_, at_.unix_s + policy_.interval);
  replaced_until_ = std::min(replaced_until_, at_.unix_s + policy_.interval);
  unsaved_ = true;
}

Result<bool> DerivedStore::step(const Moment& now, const Confirmation& confirmed) {
  at_ = clock_.read(now);
  if (std::abs(at_.step) > policy_.margin()) clock_set();
  watch(confirmed);  // of the half that the validator's ring is of
  const DerivedHalf half = DerivedHalf::at(policy_.interval, at_.unix_s);
  Result<> done = look_at_secret(half);
  if (done && at_.sure && half != half_) {
    done = enter(half);
    if (!done) done = tl::unexpected(std::move(done.error()).in("secret " + files_.secret));
    lost_ = !done;
  }
  std::erase_if(guests_, [&](const Generation& one) { return one.not_after <= at_.unix_s; });
  const bool changed = publish();
  // The farm does not wait for this node's disk: another ring is in force before it is remembered,
  // at the next call, which comes at once.
  if (unsaved_ && at_.sure && !changed) {
    const auto saved = save();
    if (!saved && done) done = saved;
    unsaved_ = !saved;
  }
  if (!done) return tl::unexpected(std::move(done.error()));
  return changed;
}

Result<> DerivedStore::save() {
  if (!at_.sure) return {};
  clock_.acted(at_.unix_s);
  DerivedState state{.acted_at = at_.unix_s,
                     .interval = policy_.interval,
                     .index = half_.index,
                     .slots = {},
                     .renew_from = renew_from_,
                     .replaced_until = replaced_until_,
                     .stepped_until = stepped_until_,
                     .step = step_,
                     .staged_at = staged_.grew_at(),
                     .staged_seen = static_cast<int64_t>(staged_.seen())};
  for (const Generation* one : {base_.current(), base_.backup()}) {
    if (one == nullptr) continue;
    state.slots.push_back({.index = one->created_at / policy_.interval, .id = one->id});
  }
  return state_.save(state);
}

Result<> DerivedStore::rotate(const Moment&) {
  const DerivedSecret& secret = next_ ? *next_ : *secret_;
  const std::string lines =
      secret.plain()
          ? fmt::format(
                "write {} as two lines, `0 OLDHEX` (its first 32 bytes as 64 hex digits) and "
                "`{} NEWHEX` (64 other ones)",
                files_.secret, half_.index + 2)
          : fmt::format("add a line `{} NEWHEX` (64 hex digits) to {}", half_.index + 2,
                        files_.secret);
  return fail(fmt::format(
      "the keys of a derived pool follow the clock; to be rid of a key, change the secret: {}, on "
      "every node before that interval begins; or replace the file on all within half an interval "
      "(which costs some clients a round trip)",
      lines));
}

Result<> DerivedStore::import(const Moment&, const std::vector<Key>&) {
  return fail(
      "the keys of a derived pool are made from its secret; to use given keys, give the pool the "
      "store \"file\" with \"interval\": 0");
}

std::optional<int64_t> DerivedStore::next_wakeup() const {
  if (!at_.sure) return at_.unix_s;
  int64_t next = next_derived_moment(policy_, at_.unix_s);
  const auto consider = [&](int64_t moment) {
    if (moment > at_.unix_s) next = std::min(next, moment);
  };
  consider(renew_from_);
  consider(replaced_until_);
  consider(stepped_until_);
  consider(staged_.grew_at() + policy_.interval);
  if (next_) consider(half_.ends(policy_.interval) - kDerivedDelay - policy_.margin());
  for (const Generation& one : guests_) consider(one.not_after);
  return next;
}

std::optional<int64_t> DerivedStore::next_rotation() const {
  return (half_.index + 1) * policy_.interval;
}

}  // namespace tfo
