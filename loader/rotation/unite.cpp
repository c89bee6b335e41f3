// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>

#include "loader/rotation/document.h"

namespace tfo::rotation {
namespace {

FarmGeneration* with_key(Document& document, const Key& key) {
  const auto found = std::find_if(document.generations.begin(), document.generations.end(),
                                  [&](const FarmGeneration& g) { return g.key == key; });
  return found == document.generations.end() ? nullptr : &*found;
}

/// Adds one of the peer's, by age, or what the peer knows of one that is there.
void take_over(Document& into, const FarmGeneration& theirs) {
  FarmGeneration* ours = into.find(theirs.id);
  if (ours == nullptr) ours = with_key(into, theirs.key);
  if (ours != nullptr) {
    const bool endless = ours->not_after == 0 || theirs.not_after == 0;
    ours->not_after = endless ? 0 : std::max(ours->not_after, theirs.not_after);
    ours->revoked = ours->revoked || theirs.revoked;
    return;
  }
  const auto younger =
      std::find_if(into.generations.begin(), into.generations.end(),
                   [&](const FarmGeneration& g) { return g.created_at > theirs.created_at; });
  into.generations.insert(younger, theirs);
}

bool usable(const Document& document, uint64_t id) {
  const FarmGeneration* generation = document.find(id);
  return generation != nullptr && !generation->revoked;
}

/// The usable ones of `ids`, each once.
std::vector<uint64_t> usable_of(const Document& document, const std::vector<uint64_t>& ids) {
  std::vector<uint64_t> good;
  for (const uint64_t id : ids) {
    if (usable(document, id) && std::find(good.begin(), good.end(), id) == good.end()) {
      good.push_back(id);
    }
  }
  return good;
}

void add_fresh(Document& document, int64_t now, const std::function<Key()>& make_key) {
  FarmGeneration fresh{.id = random_id(), .key = make_key(), .created_at = now};
  for (const FarmGeneration& generation : document.generations) {
    fresh.not_after = std::max(fresh.not_after, generation.not_after);
  }
  document.generations.push_back(fresh);
  document.current = fresh.id;
}

/// See unite(); the generations are united already.
void settle_slots(Document& united, const std::vector<uint64_t>& ours,
                  const std::vector<uint64_t>& theirs, int64_t now,
                  const std::function<Key()>& make_key) {
  united.state = State::kSteady;
  united.aborting = false;
  united.doomed = united.next = united.other = 0;
  std::vector<uint64_t> held = ours;
  held.insert(held.end(), theirs.begin(), theirs.end());
  std::vector<uint64_t> good = usable_of(united, held);
  const auto common = std::find_if(good.begin(), good.end(), [&](uint64_t id) {
    return std::find(ours.begin(), ours.end(), id) != ours.end() &&
           std::find(theirs.begin(), theirs.end(), id) != theirs.end();
  });
  const bool shared = common != good.end();
  if (shared) std::rotate(good.begin(), common, common + 1);
  if (good.empty()) {
    add_fresh(united, now, make_key);
    return;
  }
  united.current = good.front();
  if (good.size() == 1) return;
  if (shared) {
    united.state = State::kUnminting;
    united.aborting = true;
    united.next = good.at(1);
  } else {
    united.other = good.at(1);
  }
}

void unite_events(Document& united, const Document& peer, int64_t now, const std::string& writer) {
  auto& events = united.events;
  for (const Event& event : peer.events) {
    if (std::find(events.begin(), events.end(), event) == events.end()) events.push_back(event);
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const Event& a, const Event& b) { return a.counter < b.counter; });
  events.push_back({.at = now,
                    .counter = united.counter,
                    .state = united.state,
                    .what = "united two documents of counter " + peer.counter.text(),
                    .by = writer});
  const size_t over =
      events.size() > Document::kMaxEvents ? events.size() - Document::kMaxEvents : 0;
  events.erase(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(over));
}

}  // namespace

Document unite(const Document& a, const Document& b, int64_t now, const std::string& writer,
               const std::function<Key()>& make_key) {
  const bool a_first = hash_of(a) <= hash_of(b);
  const Document& base = a_first ? a : b;
  const Document& peer = a_first ? b : a;
  Document united = base;
  united.issued_at = std::max({now, a.issued_at, b.issued_at});
  for (const FarmGeneration& generation : peer.generations) take_over(united, generation);
  std::vector<uint64_t> theirs;
  for (const uint64_t id : slots_of(peer)) {
    const FarmGeneration* held = peer.find(id);
    if (held == nullptr) continue;
    theirs.push_back(united.find(id) != nullptr ? id : with_key(united, held->key)->id);
  }
  settle_slots(united, slots_of(base), theirs, united.issued_at, make_key);
  united.make_room(TFO_MAX_GENERATIONS);
  ++united.counter.sequence;
  united.forgotten.insert(peer.forgotten.begin(), peer.forgotten.end());
  united.min_key = std::max(a.min_key, b.min_key);
  united.state_since = united.issued_at;
  united.rotated_at = std::max(a.rotated_at, b.rotated_at);
  united.writer = writer;
  unite_events(united, peer, united.issued_at, writer);
  return united;
}

}  // namespace tfo::rotation
