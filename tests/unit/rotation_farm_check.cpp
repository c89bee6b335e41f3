// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>

#include "tests/unit/rotation_farm.h"

namespace tfo::rotation {
namespace {

bool has(const std::vector<uint64_t>& ids, uint64_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

bool Farm::refusals_are_meant() const {
  return std::any_of(nodes_.begin(), nodes_.end(), [&](const Node& node) {
    return counts(node) && (node.applied->document.counter < last_revoke_ || !node.lost.empty());
  });
}

/// What a node knows to be revoked it does not accept, but for the last key of its servers.
void Farm::check_lost(const Node& node) {
  if (!node.applied || node.applied != in_force(node)) return;
  for (const uint64_t id : node.lost) {
    const Generation* known = node.applied->ring.find(id);
    const bool last = node.applied->slots.size() == 1 && node.applied->slots.front() == id;
    if (known != nullptr && known->place != TFO_PLACE_REVOKED && !last) {
      violated(fmt::format("{} accepts {}, which it knows to be revoked", node.name, id));
    }
  }
}

void Farm::check() {
  if (!violation_.empty()) return;
  for (const Node& node : nodes_) check_lost(node);
  for (const Node& node : nodes_) {
    if (counts(node) && !node.balancer) {
      minted_.insert(node.applied->slots.front());
    }
  }
  if (refusals_are_meant()) return;
  check_slots();
  for (const Node& node : nodes_) {
    if (counts(node) && node.balancer && !fenced(node)) check_cookies(node);
  }
}

/// As many are kept as the policy says, unless some of them were revoked meanwhile.
bool Farm::may_be_gone() const {
  const Document& document = highest_->document;
  const auto retired = std::count_if(
      document.generations.begin(), document.generations.end(), [&](const FarmGeneration& g) {
        return g.id != document.current && g.id != document.other && g.id != document.next;
      });
  return !revoked_.empty() || retired >= static_cast<std::ptrdiff_t>(policy_.accept_generations);
}

/// Some key is in the slots of everybody.
void Farm::check_slots() {
  std::map<uint64_t, size_t> holders;
  size_t servers = 0;
  for (const Node& node : nodes_) {
    if (node.balancer || !counts(node)) continue;
    ++servers;
    for (const uint64_t id : node.applied->slots) ++holders[id];
  }
  const bool common = std::any_of(holders.begin(), holders.end(),
                                  [&](const auto& held) { return held.second == servers; });
  if (servers != 0 && !common) violated("no key is in the slots of all servers");
}

/// A cookie of any generation that was ever minted and is still to be accepted comes through, as it
/// is or renewed.
void Farm::check_cookies(const Node& balancer) {
  const KeyRing& ring = balancer.applied->ring;
  for (const uint64_t id : minted_) {
    const FarmGeneration* wanted = highest_->document.find(id);
    if (wanted == nullptr && !may_be_gone()) {
      return violated(fmt::format("{} was minted, and the document has lost it", id));
    }
    if (wanted == nullptr || wanted->revoked) continue;
    const Generation* known = ring.find(id);
    if (known == nullptr) {
      return violated(fmt::format("{} refuses cookies of {}", balancer.name, id));
    }
    const uint64_t forwarded = has(ring.renewal.held, id) ? id : ring.renewal.target;
    for (const Node& node : nodes_) {
      if (node.balancer || !counts(node)) continue;
      if (!has(node.applied->slots, forwarded)) {
        return violated(fmt::format("a cookie of {} reaches {} as one of {} and is refused", id,
                                    node.name, forwarded));
      }
    }
  }
}

bool Farm::at_rest() const {
  return ring_->document.state == State::kSteady && requests_.empty() &&
         std::all_of(nodes_.begin(), nodes_.end(), [&](const Node& node) {
           return node.applied == ring_ && node.lost.empty() && node.open &&
                  has_acked_current(node);
         });
}

void Farm::come_to_rest() {
  constexpr int kMost = 40;
  for (int round = 0; round < kMost && !at_rest(); ++round) {
    for (Node& node : nodes_) {
      step(node);
      check();
    }
    lead_read(0);
    lead_write(0);
    check();
  }
  if (!at_rest()) violated("does not come to rest");
}

void Farm::finish() {
  for (Node& node : nodes_) node.cut = node.dead = false;
  come_to_rest();
  for (const uint64_t id : revoked_) {
    const FarmGeneration* generation = ring_->document.find(id);
    if (generation != nullptr && !generation->revoked) violated("revoked comes back");
  }
  const uint64_t before = ring_->document.current;
  Request request;
  request.kind = Request::Kind::kRotate;
  ask(request);
  come_to_rest();
  if (ring_->document.current == before) violated("does not rotate any more");
}

}  // namespace tfo::rotation
