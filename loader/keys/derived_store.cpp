// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/derived_store.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>

#include "loader/keys/derived_change.h"

namespace tfo {
namespace {

std::string time_text(int64_t unix_s) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(static_cast<std::time_t>(unix_s)));
}

/// Guests have a life of their own, but none without end.
Generation guest(Generation generation, int64_t end) {
  generation.place = TFO_PLACE_RETIRED;
  generation.not_after = generation.not_after == 0 ? end : std::min(generation.not_after, end);
  return generation;
}

}  // namespace

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
      time_text(now.unix_s), files_.secret));
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
  for (const Key& key : made_ ? host : std::vector<Key>()) {
    const Generation held{.id = derived_id(key),
                          .key = key,
                          .place = TFO_PLACE_RETIRED,
                          .created_at = at_.unix_s - policy_.interval,
                          .not_after = at_.unix_s + policy_.not_after};
    if (!key.is_zero()) guests_.push_back(held);
  }
  publish();
  // A disk that is full or read-only is no reason to start without keys.
  unsaved_ = !save();
  return {};
}

void DerivedStore::abandon() {
  if (made_) state_.remove();
  made_ = false;
}

/// Reads the secret, which must have a key for `half`, and takes it over unless that changes what
/// servers hold.
Result<> DerivedStore::look_at_secret(const DerivedHalf& half) {
  auto read = DerivedSecret::load(files_.secret);
  if (read && read->has_zero()) {
    read = fail("secret " + files_.secret +
                ": it is all zero, as a damaged file is; copy it from another node");
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
  renew_from_ = begins + policy_.margin();
  replaced_until_ = begins + policy_.interval;
}

void DerivedStore::add_guests(KeyRing& ring, std::vector<Generation> guests) const {
  for (Generation& one : guests) {
    if (one.not_after <= at_.unix_s || ring.find(one.key) != nullptr) continue;
    ring.generations.push_back(std::move(one));
  }
  // Newest first: there is room for sixteen, and the oldest are the least missed.
  std::ranges::stable_sort(ring.generations, [](const Generation& a, const Generation& b) {
    if (a.place != b.place || a.place != TFO_PLACE_RETIRED) return a.place < b.place;
    return a.created_at > b.created_at;
  });
  if (ring.generations.size() > TFO_MAX_GENERATIONS) ring.generations.resize(TFO_MAX_GENERATIONS);
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
  add_guests(ring, guests_);
  if (next_) {
    const auto announced = derived_ring(*next_, policy_, half_);
    std::vector<Generation> newcomers;
    for (const Generation& one : announced ? announced->generations : std::vector<Generation>()) {
      newcomers.push_back(guest(one, one.not_after));
    }
    add_guests(ring, std::move(newcomers));
  }
  if (!lost_) renewal_ = renewal();
  ring.renewal = at_.sure && ring.find(renewal_.target) != nullptr ? renewal_ : Renewal();
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
  staged_.look(*count, at_.unix_s, staged, staged * policy_.interval - policy_.margin());
}

/// Whether it is right now or was right before, nobody here knows.
void DerivedStore::clock_set() {
  guests_.insert(guests_.end(), base_.generations.begin(), base_.generations.end());
  for (Generation& one : guests_) {
    // Their lives go on as if the clock had always been what it is now.
    one.not_after += at_.step;
    one = guest(one, at_.unix_s + policy_.not_after);
  }
  staged_.forget();
  step_ = at_.step;
  stepped_until_ = at_.unix_s + policy_.interval;
}

Result<bool> DerivedStore::step(const Moment& now, const Confirmation& confirmed) {
  at_ = clock_.read(now);
  if (std::abs(at_.step) > policy_.margin()) clock_set();
  const DerivedHalf half = DerivedHalf::at(policy_.interval, at_.unix_s);
  Result<> done = look_at_secret(half);
  if (done && at_.sure && half != half_) {
    done = enter(half);
    if (!done) done = tl::unexpected(std::move(done.error()).in("secret " + files_.secret));
    lost_ = !done;
  }
  watch(confirmed);
  std::erase_if(guests_, [&](const Generation& one) { return one.not_after <= at_.unix_s; });
  const bool changed = publish();
  // The ring is in force all the same: the farm does not wait for this node's disk.
  if (unsaved_ && at_.sure) {
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
  return state_.save({.acted_at = at_.unix_s, .interval = policy_.interval, .index = half_.index});
}

Result<> DerivedStore::rotate(const Moment&) {
  return fail(fmt::format(
      "the keys of a derived pool follow the clock; to be rid of a key, change the secret: add a "
      "line `{} SECRET` (64 hex digits) to {} on every node, or replace the file on all within "
      "half an interval (which costs some clients a round trip)",
      half_.index + 2, files_.secret));
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

std::vector<StoreTrouble> DerivedStore::troubles() const {
  const bool suspect = staged_.suspect(at_.unix_s, policy_.interval);
  const bool replaced = next_ || at_.unix_s < replaced_until_;
  std::vector<StoreTrouble> all = {{.id = "clock_unsure", .evidence = {}},
                                   {.id = "clock_suspect", .evidence = {}},
                                   {.id = "secret_replaced", .evidence = {}}};
  if (!at_.sure) {
    all[0].evidence = fmt::format(
        "the wall clock is before {}, which was acted on already, and nobody keeps it right: the "
        "keys stay as they are until it is synchronised (NTP) or past that",
        time_text(at_.unix_s));
  }
  if (suspect) {
    all[1].evidence = fmt::format(
        "{} cookies came under a key that nobody should mint with yet (last seen {}): a server's "
        "clock is ahead, or ours is behind, by more than max_skew; nothing is renewed until one "
        "interval was quiet",
        staged_.seen(), time_text(staged_.grew_at()));
  } else if (at_.unix_s < stepped_until_) {
    all[1].evidence = fmt::format(
        "our wall clock was set by {} s, more than max_skew allows: nothing is renewed until {}",
        step_, time_text(stepped_until_));
  }
  if (replaced) {
    const int64_t when = next_ ? half_.ends(policy_.interval) : half_.begins(policy_.interval);
    all[2].evidence = fmt::format(
        "{} is not the secret of before{}: servers refuse cookies under the old one, and for about "
        "{} s around the change each other's; a line `INDEX SECRET` for an interval to come costs "
        "nothing",
        files_.secret,
        next_ ? ", comes into force at " + time_text(when) : " since the last half interval",
        (2 * policy_.max_skew_ms + 999) / 1000);
  }
  return all;
}

}  // namespace tfo
