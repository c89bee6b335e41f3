// SPDX-License-Identifier: BSD-2-Clause
#include "tests/unit/rotation_farm.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tests/unit/rotation_world.h"

namespace tfo::rotation {
namespace {

using Kind = Action::Kind;

constexpr int64_t kDay = 86400;
constexpr std::array<std::string_view, 18> kNames = {
    "step",  "read",   "apply", "ack",  "join", "lead",    "lead-read", "lead-write", "rotate",
    "abort", "revoke", "cut",   "heal", "kill", "restart", "day",       "backup",     "restore"};

Doc hold(const Document& document) {
  const KeyRing ring = ring_of(document, 1, kNow, 0);
  Held held{.document = document, .hash = hash_of(document), .ring = ring, .slots = {}};
  held.slots = {ring.current()->id};
  if (ring.backup() != nullptr) held.slots.push_back(ring.backup()->id);
  return std::make_shared<const Held>(std::move(held));
}

/// Ids that are the same for the same step of the same leader: states met twice are recognised.
Machine machine_of(const Policy& policy, size_t leader, uint64_t sequence) {
  const uint64_t id = 100 + 2 * sequence + leader;
  const auto key = [id] {
    Key::Bytes bytes{};
    bytes.at(0) = static_cast<uint8_t>(id);
    bytes.at(1) = static_cast<uint8_t>(1 + id / 256);
    return Key(bytes);
  };
  return Machine(policy, fmt::format("s{}", leader + 1), key, [id] { return id; });
}

}  // namespace

std::string to_string(const Action& action) {
  return fmt::format("{}({})", kNames.at(static_cast<size_t>(action.kind)), action.index);
}

Farm::Farm(const Limits& limits, const Mutant* mutant)
    : left_(limits),
      mutant_(mutant),
      policy_{.interval = 0,
              .accept_generations = 2,
              .not_after = 0,
              .deadline = 0,
              .go_on_at_deadline = limits.go_on,
              .forget_after = kDay},
      now_(kNow),
      leaders_(2) {
  const Machine machine(policy_, "s1", Key::random, [id = uint64_t{0}]() mutable { return ++id; });
  ring_ = highest_ = hold(*machine.first("edge", "web", kNow, 1, {key_of(2), key_of(1)}));
  written_[ring_->document.counter] = ring_->hash;
  minted_ = {ring_->document.current, ring_->document.other};
  for (const std::string name : {"s1", "s2", "s3", "lb1"}) {
    Node node;
    node.name = name;
    node.balancer = node.name == "lb1";
    node.confirmed = node.seen = now_;
    if (name != "s3" || left_.joins == 0) {
      members_[name] = {.node = name, .balancer = node.balancer, .server = !node.balancer};
      follow(node, ring_);
      node.applied = ring_;
      ack(node);
    }
    nodes_.push_back(node);
  }
  check();
}

bool Farm::fenced(const Node& node) const { return node.confirmed + kDay - 3600 < now_; }

void Farm::violated(const std::string& what) {
  if (violation_.empty()) {
    violation_ = fmt::format("document {} ({}): {}", ring_->document.counter.text(),
                             to_string(ring_->document.state), what);
  }
}

void Farm::write(const Doc& made) {
  const Document& document = made->document;
  if (auto good = document.check(); !good) violated(good.error().message);
  if (auto good = made->ring.check(); !good) violated(good.error().message);
  const auto [known, is_new] = written_.emplace(document.counter, made->hash);
  if (!is_new && known->second != made->hash && !restored_) violated("two values of one counter");
  for (const uint64_t id : revoked_) {
    const FarmGeneration* generation = document.find(id);
    if (!restored_ && generation != nullptr && !generation->revoked) violated("revoked comes back");
  }
  ring_ = made;
  if (highest_->document.counter < document.counter) highest_ = made;
}

void Farm::ask(Request request) {
  request.id = fmt::format("{:016x}", ++asked_);
  request.expects = ring_->document.counter;
  request.by = "s1";
  request.at = now_;
  requests_.push_back(std::move(request));
}

void Farm::revoke(uint64_t id) {
  Request request;
  request.kind = Request::Kind::kRevoke;
  request.generation = id;
  ask(request);
}

void Farm::follow(Node& node, const Doc& doc) {
  std::optional<Document> mine;
  if (node.persisted) mine = node.persisted->document;
  node.lost = lost_revocations(node.lost, mine, doc->document);
  node.persisted = doc;
}

/// What the node puts in force: see Site and EtcdStore.
Doc Farm::in_force(const Node& node) const {
  if (node.lost.empty()) return node.persisted;
  std::string key = node.persisted->hash;
  for (const uint64_t id : node.lost) key += fmt::format(" {}", id);
  Doc& known = (*guarded_)[key];
  if (!known) known = hold(guarded(node.persisted->document, node.lost));
  return known;
}

/// A node that was away may know of a revocation that a restored etcd does not. It asks for it
/// until that is so again.
void Farm::revoke_again(Node& node) {
  for (const uint64_t id : node.lost) {
    const bool asked = std::any_of(requests_.begin(), requests_.end(),
                                   [&](const Request& r) { return r.generation == id; });
    if (!asked) revoke(id);
  }
}

void Farm::read(Node& node) {
  if (!members_.contains(node.name)) {
    node.open = node.forgotten = false;
    members_[node.name] = {.node = node.name, .balancer = node.balancer, .server = !node.balancer};
  }
  node.confirmed = node.seen = now_;
  node.checked = true;
  if (node.persisted == ring_) return revoke_again(node);
  std::optional<Document> mine;
  if (node.persisted) mine = node.persisted->document;
  switch (judge(mine, ring_->document)) {
    case Verdict::kFollow:
      follow(node, ring_);
      break;
    case Verdict::kPutBack:
      ring_ = node.persisted;
      break;
    case Verdict::kFork:
      write(hold(unite(*mine, ring_->document, now_, node.name)));
      follow(node, ring_);
      break;
    case Verdict::kSame:
      break;
  }
  revoke_again(node);
}

bool Farm::has_acked_current(const Node& node) const {
  const auto ack = acks_.find(node.name);
  return ack != acks_.end() && ack->second.counter == node.persisted->document.counter &&
         ack->second.hash == node.persisted->hash &&
         ack->second.partial.empty() == !touches_slots(node.persisted->document, node.lost);
}

void Farm::ack(Node& node) {
  Ack made;
  made.node = node.name;
  made.counter = node.persisted->document.counter;
  made.hash = node.persisted->hash;
  made.balancer = made.renews = node.balancer;
  made.server = !node.balancer;
  made.opens = {1};
  if (touches_slots(node.persisted->document, node.lost)) made.partial = "a revocation was lost";
  acks_[node.name] = made;
  node.open = true;
}

void Farm::step(Node& node) {
  read(node);
  node.applied = in_force(node);
  if (node.persisted->hash == ring_->hash) ack(node);
}

void Farm::lead_read(size_t index) {
  read(nodes_[index]);
  FarmView view;
  view.document = ring_->document;
  view.members = members_;
  view.acks = acks_;
  view.requests = requests_;
  view.may_mint = true;
  for (const Node& node : nodes_) {
    if (reachable(node)) view.live.insert(node.name);
    view.silent_for[node.name] = reachable(node) ? 0 : now_ - node.seen;
    view.clock_offsets[node.name] = 0;
    // A new leader waits until everybody who is there can have put a higher document back.
    if (restored_ && reachable(node) && !node.checked) view.may_mint = false;
  }
  if (mutant_ != nullptr && mutant_->view) mutant_->view(view);
  leaders_[index] = {.view = view, .read = ring_};
}

/// All that a decision depends on.
std::string Farm::key_of_view(const FarmView& view, size_t leader, const Doc& read) const {
  std::string text = fmt::format("{} {} {} {}|", read->hash, leader, now_, view.may_mint);
  for (const auto& [node, member] : view.members) {
    const auto ack = view.acks.find(node);
    text += fmt::format("{} {} {} {}|", node, ack == view.acks.end() ? "" : ack->second.hash,
                        view.live.contains(node), view.silent_for.at(node));
    if (ack != view.acks.end()) text += ack->second.partial;
  }
  for (const Request& request : view.requests) {
    text += fmt::format("{} {} {} {}|", request.id, to_string(request.kind), request.generation,
                        request.expects.text());
  }
  return text;
}

void Farm::lead_write(size_t index) {
  Leader& leader = leaders_[index];
  if (!leader.view) return;
  const FarmView view = std::move(*leader.view);
  leader.view.reset();
  auto& known = (*decisions_)[key_of_view(view, index, leader.read)];
  if (!known) {
    const Machine machine = machine_of(policy_, index, leader.read->document.counter.sequence);
    Decision decision = machine.decide(view, now_);
    if (mutant_ != nullptr && mutant_->decision) mutant_->decision(decision, view);
    known = std::make_shared<const Decided>(
        Decided{.decision = decision, .next = decision.next ? hold(*decision.next) : nullptr});
  }
  if (leader.read->hash == ring_->hash) carry_out(*known);
  Node& node = nodes_[index];
  if (node.persisted->document.counter < ring_->document.counter) follow(node, ring_);
}

void Farm::carry_out(const Decided& decided) {
  const Decision& decision = decided.decision;
  std::erase_if(requests_, [&](const Request& r) { return decision.refused.contains(r.id); });
  if (!decision.next) return;
  for (const std::string& id : decision.served) {
    const auto served = std::find_if(requests_.begin(), requests_.end(),
                                     [&](const Request& r) { return r.id == id; });
    if (served == requests_.end()) return;  // deleted in the same transaction: it is compared
    if (served->kind == Request::Kind::kRevoke) {
      revoked_.insert(served->generation);
      last_revoke_ = decision.next->counter;
    }
    requests_.erase(served);
  }
  for (const std::string& name : decision.forget) {
    members_.erase(name);
    acks_.erase(name);
    for (Node& node : nodes_) node.forgotten = node.forgotten || node.name == name;
  }
  write(decided.next);
}

/// Who can reach etcd has read it in that time.
void Farm::day() {
  for (Node& node : nodes_) {
    if (reachable(node) && members_.contains(node.name)) step(node);
  }
  now_ += kDay;
  for (Node& node : nodes_) {
    if (reachable(node)) node.confirmed = node.seen = now_;
  }
}

void Farm::apply(const Action& action) {
  Node& node = nodes_.at(std::min(action.index, nodes_.size() - 1));
  const auto ask_for = [&](Request::Kind kind) {
    Request request;
    request.kind = kind;
    ask(request);
  };
  switch (action.kind) {
    case Kind::kStep:
      step(node);
      break;
    case Kind::kRead:
      read(node);
      break;
    case Kind::kApply:
      node.applied = in_force(node);
      break;
    case Kind::kAck:
      ack(node);
      break;
    case Kind::kJoin:
      --left_.joins;
      if (mutant_ != nullptr && mutant_->read_before_register) {
        node.persisted = node.applied = ring_;
      } else {
        members_[node.name] = {.node = node.name, .server = true};
      }
      break;
    case Kind::kLead:
      lead_read(action.index);
      lead_write(action.index);
      break;
    case Kind::kLeadRead:
      lead_read(action.index);
      break;
    case Kind::kLeadWrite:
      lead_write(action.index);
      break;
    case Kind::kRotate:
      --left_.rotations;
      ask_for(Request::Kind::kRotate);
      break;
    case Kind::kAbort:
      --left_.aborts;
      ask_for(Request::Kind::kAbort);
      break;
    case Kind::kRevoke:
      --left_.revokes;
      revoke(ring_->document.generations.at(action.index).id);
      break;
    case Kind::kCut:
      --left_.partitions;
      node.cut = true;
      node.seen = now_;
      break;
    case Kind::kHeal:
      node.cut = false;
      break;
    case Kind::kKill:
      --left_.deaths;
      node.dead = true;
      node.seen = now_;
      break;
    case Kind::kRestart:
      node.dead = false;
      break;
    case Kind::kDay:
      --left_.days;
      day();
      break;
    case Kind::kBackup:
      backup_ = {ring_, acks_};
      break;
    case Kind::kRestore:
      --left_.restores;
      ring_ = backup_->first;
      acks_ = backup_->second;
      restored_ = true;
      for (Node& each : nodes_) each.checked = false;
      break;
  }
  check();
}

std::string Farm::key() const {
  std::string text = fmt::format("{}|{}|", ring_->hash, now_);
  for (const Node& node : nodes_) {
    text += fmt::format("{}/{}/{}{}{}{}{}{}/{},", node.persisted ? node.persisted->hash : "",
                        node.applied ? node.applied->hash : "", node.open, node.forgotten, node.cut,
                        node.dead, node.checked, members_.contains(node.name), node.confirmed);
    const auto ack = acks_.find(node.name);
    if (ack != acks_.end()) text += ack->second.hash + ack->second.partial;
    for (const uint64_t id : node.lost) text += fmt::format(" {}", id);
  }
  for (const Request& request : requests_) {
    text += fmt::format("|{} {}", to_string(request.kind), request.generation);
  }
  text += fmt::format("|{} {} {} {} {} {} {} {}", left_.rotations, left_.aborts, left_.revokes,
                      left_.partitions, left_.deaths, left_.days, left_.restores, left_.joins);
  for (const uint64_t id : minted_) text += fmt::format(" {}", id);
  return text;
}

}  // namespace tfo::rotation
