// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/pool.h"

#include <algorithm>
#include <utility>

namespace tfo {
namespace {

/// Phases of one rotation, and some for time's own changes; a store that never comes to rest must
/// not hold the caller.
constexpr int kMaxSteps = 8;
/// The longest sleep: a wall clock that was set is noticed within it.
constexpr int64_t kMaxSleep = 60;
/// The sinks' and the store's own word for it are one condition.
constexpr char kHeld[] = "rotation_held";

}  // namespace

KeyPool::KeyPool(std::string name, std::unique_ptr<KeyStore> store, const Clock& clock,
                 ConditionCallback callback)
    : name_(std::move(name)),
      store_(std::move(store)),
      clock_(clock),
      callback_(std::move(callback)) {}

void KeyPool::add_sink(std::unique_ptr<KeySink> sink) {
  Place place;
  place.sink = std::move(sink);
  places_.push_back(std::move(place));
}

std::vector<std::unique_ptr<KeySink>> KeyPool::take_sinks() {
  std::vector<std::unique_ptr<KeySink>> sinks;
  sinks.reserve(places_.size());
  for (Place& place : places_) {
    sinks.push_back(std::move(place.sink));
  }
  places_.clear();
  return sinks;
}

Result<> KeyPool::start() {
  const Moment now = clock_.now();
  if (auto opened = store_->open(now, held_by_all_servers()); !opened) {
    return tl::unexpected(std::move(opened.error()).in("pool " + name_));
  }
  verified_at_ = now.boot_s;
  run(now);
  report_all();
  return {};
}

int64_t KeyPool::tick() {
  const Moment now = clock_.now();
  run(now);
  verify_servers(now);
  if (review_renewal()) {
    apply_role(KeySink::Role::validator);
  }
  const bool failing = !missing().empty() || !store_error_.empty();
  const bool servers = std::any_of(places_.begin(), places_.end(), [](const Place& place) {
    return place.sink->role() == KeySink::Role::server;
  });
  const int64_t calm = servers ? kVerify : kMaxSleep;
  const int64_t most = failing ? kRetry : calm;
  const int64_t due = store_->next_wakeup().value_or(now.unix_s + most) - now.unix_s;
  return failing && due <= 0 ? kRetry : std::clamp<int64_t>(due, 1, most);
}

Result<> KeyPool::rotate() {
  const Moment now = clock_.now();
  if (auto begun = store_->rotate(now); !begun) {
    const std::string held = hold_evidence();
    const std::string why = held.empty() ? "" : "; " + held;
    return fail("pool " + name_ + ": " + begun.error().message + why);
  }
  run(now);
  return store_->rotates_alone() ? carried_through() : Result<>();
}

Result<> KeyPool::import(const std::vector<Key>& keys) {
  const Moment now = clock_.now();
  if (auto begun = store_->import(now, keys); !begun) {
    return tl::unexpected(std::move(begun.error()).in("pool " + name_));
  }
  run(now);
  return carried_through();
}

Secret KeyPool::export_text() const {
  Secret text;
  text.buffer().reserve(TFO_MAX_GENERATIONS * (Key::kTextSize + 1));
  const auto append = [&](const Generation& generation) {
    text.buffer() += text.view().empty() ? "" : ",";
    text.buffer() += generation.key.text().view();
  };
  for (const Generation& generation : ring().generations) {
    if (generation.place != TFO_PLACE_STAGED && generation.place != TFO_PLACE_REVOKED) {
      append(generation);
    }
  }
  if (const Generation* staged = ring().staged()) {
    append(*staged);
  }
  return text;
}

PoolStatus KeyPool::status() const {
  PoolStatus status{.name = name_,
                    .store = store_->kind(),
                    .phase = ring().phase,
                    .next_rotation = store_->next_rotation(),
                    .missing = missing(),
                    .gone = {},
                    .repairs = {}};
  for (const Place& place : places_) {
    if (place.sink->gone()) {
      status.gone.push_back(place.sink->name());
    }
    if (place.sink->role() == KeySink::Role::server) {
      status.repairs.emplace_back(place.sink->name(), place.repairs.total());
    }
  }
  return status;
}

std::vector<Key> KeyPool::held_by_all_servers() const {
  std::optional<std::vector<Key>> common;
  for (const Place& place : places_) {
    if (place.sink->role() == KeySink::Role::server) {
      const auto held = place.sink->held();
      if (!held || (common && *common != *held)) {
        return {};
      }
      common = *held;
    }
  }
  return common.value_or(std::vector<Key>());
}

void KeyPool::run(const Moment& now) {
  for (int i = 0; i < kMaxSteps; ++i) {
    apply();
    recheck_staged(now);
    const auto stepped = store_->step(
        now, {.revision = ring().revision, .missing = missing(), .changed = changed()});
    report("key_store_failed", name_, store_error_, stepped ? "" : stepped.error().message);
    if (!stepped || !*stepped) {
      break;
    }
  }
  apply();
  report_hold();
  report_troubles();
}

/// What validators may renew to is settled before the servers change, and again once they have: a
/// key that they lacked may be renewed to only then.
void KeyPool::apply() {
  review_renewal();
  if (apply_role(KeySink::Role::validator) || !store_->waits_for_sinks()) {
    apply_role(KeySink::Role::server);
  }
  if (review_renewal()) {
    apply_role(KeySink::Role::validator);
  }
}

bool KeyPool::apply_role(KeySink::Role role) {
  bool all = true;
  for (Place& place : places_) {
    if (place.sink->role() == role) {
      apply_to(place);
      all = all && has_ring(place);
    }
  }
  return all;
}

void KeyPool::apply_to(Place& place) {
  if (has_ring(place)) {
    return;
  }
  const bool validates = place.sink->role() == KeySink::Role::validator;
  const auto applied = place.sink->apply(validates ? offered() : ring());
  const std::string subject = name_ + "/" + place.sink->name();
  const std::string error = applied ? "" : applied.error().message;
  if (place.sink->gone()) {
    lose(place, error);
    return;
  }
  report("key_sink_failed", subject, place.error, error);
  if (applied) {
    place.revision = ring().revision;
    report("key_drift", subject, place.drift, "");
  }
}

void KeyPool::lose(Place& place, const std::string& error) {
  const std::string subject = name_ + "/" + place.sink->name();
  report("key_sink_gone", subject, place.gone,
         error +
             ": the namespace was deleted and is no longer kept in step; restart tfod once it is "
             "back, or remove it from server.namespaces");
  report("key_sink_failed", subject, place.error, "");
  report("key_drift", subject, place.drift, "");
  report("key_repaired", subject, place.repaired, "");
  report("key_fight", subject, place.fight, "");
}

/// A sink that took the staged key may have been overwritten while others were waited for; nobody
/// may begin to mint before all hold it now, so that is mended even where drift is only reported.
void KeyPool::recheck_staged(const Moment& now) {
  if (ring().phase != Phase::staged || !store_->waits_for_sinks()) {
    return;
  }
  for (Place& place : places_) {
    if (place.revision != ring().revision || place.sink->gone()) {
      continue;
    }
    if (const auto same = place.sink->verify(ring()); !same) {
      repair(place, now, same.error().message);
    }
  }
}

void KeyPool::verify_servers(const Moment& now) {
  // tick() comes every kVerify seconds; counted in whole ones, it would skip a look now and then.
  if (now.boot_s == verified_at_) {
    return;
  }
  verified_at_ = now.boot_s;
  for (Place& place : places_) {
    if (place.revision == ring().revision && !place.sink->gone()) {
      verify(place, now);
    }
    if (!place.sink->gone()) {
      report_repairs(place, now.boot_s);
    }
  }
}

void KeyPool::verify(Place& place, const Moment& now) {
  const auto same = place.sink->verify(ring());
  const std::string found = same ? "" : same.error().message;
  if (place.sink->gone()) {
    lose(place, found);
  } else if (same || on_drift_ == OnDrift::report) {
    report("key_drift", name_ + "/" + place.sink->name(), place.drift, found);
  } else {
    repair(place, now, found);
  }
}

void KeyPool::repair(Place& place, const Moment& now, const std::string& found) {
  place.revision = 0;
  apply_to(place);
  if (place.revision != 0) {
    place.repairs.note(now.boot_s);
    place.found = found;
  }
}

void KeyPool::report_repairs(Place& place, int64_t now) {
  const std::string subject = name_ + "/" + place.sink->name();
  report("key_repaired", subject, place.repaired,
         place.repairs.repaired_evidence(now, place.found));
  report("key_fight", subject, place.fight, place.repairs.fight_evidence(now, place.found));
}

void KeyPool::report_hold() {
  const bool waiting = ring().phase != Phase::steady && store_->waits_for_sinks();
  std::string evidence = waiting ? hold_evidence() : "";
  for (const StoreTrouble& trouble : store_->troubles()) {
    if (trouble.id == kHeld && !trouble.evidence.empty()) {
      evidence += (evidence.empty() ? "" : "; ") + trouble.evidence;
    }
  }
  report(kHeld, name_, held_, evidence);
}

void KeyPool::report_troubles() {
  for (const StoreTrouble& trouble : store_->troubles()) {
    if (trouble.id != kHeld) {
      report(trouble.id, name_, troubles_[trouble.id], trouble.evidence);
    }
  }
}

Result<> KeyPool::carried_through() const {
  if (ring().phase == Phase::steady && missing().empty()) {
    return {};
  }
  return fail("pool " + name_ + ": " + hold_evidence() +
              "; nothing is lost, it goes on by itself once that is mended");
}

bool KeyPool::has_ring(const Place& place) const {
  return place.sink->gone() || place.revision == ring().revision;
}

std::vector<std::string> KeyPool::missing() const {
  std::vector<std::string> names;
  for (const Place& place : places_) {
    if (!has_ring(place)) {
      names.push_back(place.sink->name());
    }
  }
  return names;
}

std::vector<std::string> KeyPool::changed() const {
  std::vector<std::string> names;
  for (const Place& place : places_) {
    if (!place.sink->gone() && (!place.drift.empty() || !place.fight.empty())) {
      names.push_back(place.sink->name());
    }
  }
  return names;
}

std::string KeyPool::hold_evidence() const {
  std::string evidence;
  for (const Place& place : places_) {
    if (!place.error.empty()) {
      evidence += "; " + place.error;
    }
  }
  if (!store_error_.empty()) {
    evidence += "; " + store_error_;
  }
  if (evidence.empty()) {
    return evidence;
  }
  return "the keys are in phase " + std::string(to_string(ring().phase)) + " and wait" + evidence;
}

/// A pool of this name may have been here before and have left something raised.
void KeyPool::report_all() const {
  const auto say = [&](const char* id, const std::string& subject, const std::string& evidence) {
    if (evidence.empty()) {
      callback_({.id = id, .subject = subject, .raised = false, .evidence = {}});
    }
  };
  say("key_store_failed", name_, store_error_);
  say(kHeld, name_, held_);
  for (const auto& [id, evidence] : troubles_) {
    say(id.c_str(), name_, evidence);
  }
  for (const Place& place : places_) {
    const std::string subject = name_ + "/" + place.sink->name();
    say("key_sink_failed", subject, place.error);
    say("key_sink_gone", subject, place.gone);
    say("key_drift", subject, place.drift);
    say("key_repaired", subject, place.repaired);
    say("key_fight", subject, place.fight);
  }
}

void KeyPool::report(const std::string& id, const std::string& subject, std::string& last,
                     const std::string& evidence) {
  if (last == evidence) {
    return;
  }
  last = evidence;
  callback_({.id = id, .subject = subject, .raised = !evidence.empty(), .evidence = evidence});
}

}  // namespace tfo
