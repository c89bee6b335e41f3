// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/rotation_farm.h"

namespace tfo::rotation {
namespace {

using Kind = Action::Kind;

}  // namespace

void Farm::add_node_steps(std::vector<Action>& all, size_t index) const {
  const Node& node = nodes_[index];
  const bool member = members_.contains(node.name) || node.open;
  if (!member) {
    const bool read_first = mutant_ != nullptr && mutant_->read_before_register;
    if (left_.joins > 0) all.push_back({Kind::kJoin, index});
    if (!read_first || !node.persisted) return;
    all.push_back({Kind::kAck, index});
    return;
  }
  if (!left_.fine) {
    if (node.persisted != ring_ || node.applied != in_force(node) || !has_acked_current(node)) {
      all.push_back({Kind::kStep, index});
    }
    return;
  }
  all.push_back({Kind::kRead, index});
  const bool ready = node.persisted && node.applied == in_force(node);
  if (!ready) all.push_back({Kind::kApply, index});
  if (ready && members_.contains(node.name) && (!has_acked_current(node) || !node.open)) {
    all.push_back({Kind::kAck, index});
  }
}

void Farm::add_faults(std::vector<Action>& all) const {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    if (node.cut) all.push_back({Kind::kHeal, i});
    if (node.dead) all.push_back({Kind::kRestart, i});
    if (!node.open || !reachable(node)) continue;
    if (left_.partitions > 0) all.push_back({Kind::kCut, i});
    if (left_.deaths > 0 && node.balancer) all.push_back({Kind::kKill, i});
  }
  if (left_.days > 0) all.push_back({Kind::kDay});
  if (left_.restores > 0) all.push_back({Kind::kBackup});
  if (left_.restores > 0 && backup_) all.push_back({Kind::kRestore});
}

std::vector<Action> Farm::enabled() const {
  std::vector<Action> all;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (reachable(nodes_[i])) add_node_steps(all, i);
  }
  for (size_t i = 0; i < leaders_.size(); ++i) {
    if (!reachable(nodes_[i])) continue;
    if (!left_.fine) {
      all.push_back({Kind::kLead, i});
      break;  // who leads makes no difference to what is written
    }
    all.push_back({Kind::kLeadRead, i});
    if (leaders_[i].view) all.push_back({Kind::kLeadWrite, i});
  }
  if (requests_.empty()) {
    const bool steady = ring_->document.state == State::kSteady;
    if (left_.rotations > 0 && steady) all.push_back({Kind::kRotate});
    if (left_.aborts > 0 && !steady) all.push_back({Kind::kAbort});
    for (size_t i = 0; left_.revokes > 0 && i < ring_->document.generations.size(); ++i) {
      if (!ring_->document.generations[i].revoked) all.push_back({Kind::kRevoke, i});
    }
  }
  add_faults(all);
  return all;
}

}  // namespace tfo::rotation
