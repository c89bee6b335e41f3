// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>

#include "loader/rotation/decider.h"

namespace tfo::rotation {

uint64_t Draft::add_fresh() {
  doc_.make_room(TFO_MAX_GENERATIONS - 1);
  const int64_t span = author_.policy.not_after;
  FarmGeneration fresh{
      .key = author_.make_key(), .created_at = now_, .not_after = span == 0 ? 0 : now_ + span};
  while (fresh.id == 0 || doc_.find(fresh.id) != nullptr) {
    fresh.id = author_.make_id ? author_.make_id() : random_id();
  }
  doc_.generations.push_back(fresh);
  return fresh.id;
}

void Draft::begin() {
  doc_.next = add_fresh();
  enter(State::kPrepare);
}

void Draft::enter(State state, bool aborting) {
  doc_.state = state;
  doc_.aborting = aborting;
  if (aborting) doc_.doomed = 0;
}

void Draft::settle(uint64_t current, uint64_t other) {
  doc_.current = current;
  doc_.other = other;
  doc_.next = 0;
  doc_.doomed = 0;
  enter(State::kSteady);
}

/// The rule of a single node's keyring (Rotation::maintain()): what is in the slots is given half a
/// rotation's time before it would expire, for the kernel knows no such moment.
bool Draft::live_on(FarmGeneration& generation) const {
  const Policy& policy = author_.policy;
  const int64_t before = generation.not_after;
  int64_t& until = generation.not_after;
  if (policy.not_after == 0) {
    if (doc_.in_slots(generation.id)) until = 0;
    return until != before;
  }
  const int64_t most = now_ + policy.not_after;
  const int64_t span =
      policy.interval == 0 ? policy.not_after : std::min(policy.interval, policy.not_after);
  if (until == 0 || until > most) until = most;
  if (doc_.in_slots(generation.id) && until - now_ <= span / 2) until = now_ + span;
  return until != before;
}

bool Draft::look_after() {
  bool changed = false;
  for (FarmGeneration& generation : doc_.generations) {
    changed = live_on(generation) || changed;
  }
  return changed;
}

/// What leaves the document: what has expired, and in steady more than the policy keeps.
void Draft::retire() {
  auto& all = doc_.generations;
  std::erase_if(all, [&](const FarmGeneration& g) {
    return timely_ && !doc_.in_slots(g.id) && g.not_after != 0 && g.not_after <= now_;
  });
  if (doc_.state == State::kSteady) {
    const auto retired = [&](const FarmGeneration& g) {
      return !g.revoked && !doc_.in_slots(g.id);
    };
    auto over = std::count_if(all.begin(), all.end(), retired) -
                static_cast<std::ptrdiff_t>(author_.policy.accept_generations);
    std::erase_if(all, [&](const FarmGeneration& g) { return retired(g) && over-- > 0; });
  }
  doc_.make_room(TFO_MAX_GENERATIONS);
}

Document Draft::finish(const std::string& what, const std::map<std::string, Member>& present) {
  const bool entered = doc_.state != from_.state || doc_.aborting != from_.aborting ||
                       doc_.current != from_.current || doc_.next != from_.next;
  ++doc_.counter.sequence;
  doc_.issued_at = now_;
  doc_.writer = author_.node;
  if (entered) doc_.state_since = now_;
  doc_.forgotten.erase_if([&](const std::string& node) { return present.contains(node); });
  if (timely_) look_after();
  retire();
  if (!what.empty()) {
    if (doc_.events.size() >= Document::kMaxEvents) doc_.events.erase(doc_.events.begin());
    doc_.events.push_back({.at = now_,
                           .counter = doc_.counter,
                           .state = doc_.state,
                           .what = what,
                           .by = author_.node});
  }
  return std::move(doc_);
}

}  // namespace tfo::rotation
