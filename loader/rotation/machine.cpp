// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "loader/rotation/decider.h"

namespace tfo::rotation {

bool promises(const Ack& ack, const Counter& counter, const std::string& hash) {
  return ack.counter == counter && ack.hash == hash && ack.partial.empty();
}

bool has_acked(const FarmView& view, const std::string& node) {
  const auto ack = view.acks.find(node);
  return ack != view.acks.end() &&
         promises(ack->second, view.document.counter, hash_of(view.document));
}

Verdict judge(const std::optional<Document>& mine, const std::optional<Document>& read) {
  if (!mine) return read ? Verdict::kFollow : Verdict::kSame;
  if (!read || read->counter < mine->counter) return Verdict::kPutBack;
  if (read->counter > mine->counter) return Verdict::kFollow;
  return *read == *mine ? Verdict::kSame : Verdict::kFork;
}

std::set<uint64_t> lost_revocations(const std::set<uint64_t>& lost,
                                    const std::optional<Document>& mine, const Document& read) {
  std::set<uint64_t> all = lost;
  if (mine) {
    for (const FarmGeneration& generation : mine->generations) {
      if (generation.revoked) all.insert(generation.id);
    }
  }
  std::erase_if(all, [&](uint64_t id) {
    const FarmGeneration* theirs = read.find(id);
    return theirs == nullptr || theirs->revoked;
  });
  return all;
}

bool touches_slots(const Document& document, const std::set<uint64_t>& lost) {
  return lost.contains(document.next) ||
         std::ranges::any_of(slots_of(document), [&](uint64_t id) { return lost.contains(id); });
}

Document guarded(const Document& document, const std::set<uint64_t>& lost) {
  Document safe = document;
  for (const uint64_t id : lost) {
    if (FarmGeneration* generation = safe.find(id)) generation->revoked = true;
  }
  if (lost.contains(safe.other)) safe.other = 0;
  if (!lost.contains(safe.current) && !lost.contains(safe.next)) return safe;
  std::vector<uint64_t> left = slots_of(document);
  const uint64_t minting = left.front();
  std::erase_if(left, [&](uint64_t id) { return id == 0 || lost.contains(id); });
  if (left.empty()) {
    left = {minting};
    safe.find(minting)->revoked = false;
  }
  safe.state = State::kSteady;
  safe.aborting = false;
  safe.next = safe.doomed = 0;
  safe.current = left.front();
  safe.other = left.size() > 1 ? left.at(1) : 0;
  return safe;
}

Machine::Machine(Policy policy, std::string node, KeyMaker make_key, IdMaker make_id)
    : policy_(policy),
      node_(std::move(node)),
      make_key_(std::move(make_key)),
      make_id_(std::move(make_id)) {}

Result<Document> Machine::first(const std::string& farm, const std::string& pool, int64_t now,
                                uint32_t farm_key, const std::vector<Key>& keys) const {
  if (keys.size() > TFO_MAX_GENERATIONS) {
    return fail(fmt::format("{} keys; a pool holds at most {}", keys.size(), TFO_MAX_GENERATIONS));
  }
  const std::vector<Key> wanted = keys.empty() ? std::vector<Key>{make_key_()} : keys;
  Document made;
  made.farm = farm;
  made.pool = pool;
  made.counter = {.incarnation = now, .sequence = 1};
  for (auto key = wanted.rbegin(); key != wanted.rend(); ++key) {
    uint64_t id = 0;
    while (id == 0 || made.find(id) != nullptr) id = make_id_ ? make_id_() : random_id();
    made.other = made.current;
    made.current = id;
    made.generations.push_back({.id = id,
                                .key = *key,
                                .created_at = now,
                                .not_after = policy_.not_after == 0 ? 0 : now + policy_.not_after});
  }
  made.min_key = farm_key;
  made.issued_at = made.state_since = made.rotated_at = now;
  made.writer = node_;
  made.events.push_back({.at = now,
                         .counter = made.counter,
                         .state = made.state,
                         .what = keys.empty() ? "farm made" : "farm made with keys given",
                         .by = node_});
  if (auto good = made.check(); !good) return tl::unexpected(std::move(good.error()));
  return made;
}

Decision Machine::decide(const FarmView& view, int64_t now) const {
  const Author author{.policy = policy_, .node = node_, .make_key = make_key_, .make_id = make_id_};
  return Decider(author, view, now).decide();
}

}  // namespace tfo::rotation
