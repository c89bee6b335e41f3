// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/decider.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "loader/rotation/tally.h"

namespace tfo::rotation {
namespace {

constexpr int64_t kMaxClockOffset = 60;  // s

}  // namespace

Decider::Decider(const Author& author, const FarmView& view, int64_t now)
    : author_(author),
      view_(view),
      doc_(view.document),
      clock_(now),
      timely_(view.complete && clock_known()),
      now_(timely_ ? std::max(now, doc_.issued_at) : doc_.issued_at),
      missing_(decision_.waits_for) {
  const std::string hash = hash_of(doc_);
  for (const auto& [node, member] : view_.members) {
    const auto ack = view_.acks.find(node);
    if (ack == view_.acks.end() || !promises(ack->second, doc_.counter, hash)) {
      missing_.push_back(node);
    }
  }
}

Decision Decider::decide() {
  decision_.resign = clock_trouble();
  if (!decision_.resign.empty()) return std::move(decision_);
  serve_requests();
  if (!decision_.next && timely_) forget_lost();
  if (!decision_.next) step();
  if (!decision_.next && timely_) upkeep();
  if (!decision_.next) say_held();
  set_wake();
  return std::move(decision_);
}

/// Of two clocks nobody can tell which is wrong, and both resigning would leave nobody: of an even
/// number of them the middle one nearer to ours counts.
std::string Decider::clock_trouble() const {
  std::vector<int64_t> offsets = {0};
  for (const auto& [node, offset] : view_.clock_offsets) {
    if (node != author_.node) offsets.push_back(offset);
  }
  std::sort(offsets.begin(), offsets.end());
  int64_t median = offsets.at(offsets.size() / 2);
  if (offsets.size() % 2 == 0) {
    const int64_t lower = offsets.at(offsets.size() / 2 - 1);
    median = lower <= 0 && median >= 0 ? 0 : std::min(std::abs(lower), std::abs(median));
  }
  if (std::abs(median) <= kMaxClockOffset) return {};
  return fmt::format(
      "the clock of {} is {} s away from the median of the members' clocks; set it right (NTP)",
      author_.node, std::abs(median));
}

/// The median of ours and of most of the others is somebody else's if they agree against us. Who
/// has never acknowledged anything has no clock that could be known; where there are others and
/// none of them can speak, somebody must keep ours right.
bool Decider::clock_known() const {
  bool alone = true;
  size_t others = 0;
  size_t known = 0;
  for (const auto& [node, member] : view_.members) {
    if (node == author_.node) continue;
    alone = false;
    if (!view_.live.contains(node) || !view_.acks.contains(node)) continue;
    ++others;
    known += view_.clock_offsets.contains(node) ? 1 : 0;
  }
  if (others == 0) return alone || view_.synchronised;
  return 2 * known > others;
}

void Decider::write(Draft draft, const std::string& what) {
  std::map<std::string, Member> present = view_.members;
  for (const std::string& node : decision_.forget) present.erase(node);
  decision_.next = draft.finish(what, present);
}

void Decider::forget_lost() {
  if (author_.policy.forget_after <= 0) return;
  for (const auto& [node, member] : view_.members) {
    const auto silent = view_.silent_for.find(node);
    if (node != author_.node && !view_.live.contains(node) && silent != view_.silent_for.end() &&
        silent->second >= author_.policy.forget_after) {
      decision_.forget.push_back(node);
      if (decision_.forget.size() == kMostForgotten) break;
    }
  }
  if (decision_.forget.empty()) return;
  Draft next = draft();
  next.doc().forgotten.insert(decision_.forget.begin(), decision_.forget.end());
  write(std::move(next),
        fmt::format("forgot {}: no sign of life for {} s", fmt::join(decision_.forget, ", "),
                    author_.policy.forget_after));
}

bool Decider::due() const {
  return timely_ && author_.policy.interval > 0 &&
         doc_.rotated_at + author_.policy.interval <= now_;
}

bool Decider::past_deadline() const {
  return timely_ && doc_.state_since + author_.policy.deadline <= now_;
}

std::string Decider::why_hold() const {
  if (!author_.policy.go_on_at_deadline) return "the policy is to hold";
  bool balancer = false;
  for (const auto& [node, member] : view_.members) {
    if (!member.balancer) continue;
    balancer = true;
    const bool missing = std::find(missing_.begin(), missing_.end(), node) != missing_.end();
    if (missing || !view_.acks.at(node).renews) {
      return fmt::format("balancer {} does not renew for every VIP of the pool", node);
    }
  }
  return balancer ? "" : "no balancer renews for those who are missing";
}

void Decider::complete(Draft& next, std::string& what) const {
  const uint64_t old = doc_.current;
  const bool revoked = doc_.doomed == old;
  if (revoked) next.doc().find(old)->revoked = true;
  next.settle(doc_.next, revoked ? 0 : old);
  next.doc().rotated_at = now_;
  what = fmt::format("{}: current is {}", kCompleteWords, id_text(doc_.next));
  if (revoked) what += fmt::format(", {}{}", kRevokedWords, id_text(old));
}

void Decider::step() {
  Draft next = draft();
  std::string what = "everybody has acknowledged";
  if (doc_.state == State::kSteady) {
    // Changes nobody's slots, and so need not wait for anybody.
    if (!due() || !view_.may_mint) return;
    next.begin();
    return write(std::move(next), "rotation due");
  }
  if (view_.members.empty() || !view_.complete) return;
  if (!missing_.empty()) {
    if (doc_.state != State::kStaged || !past_deadline() || !why_hold().empty()) return;
    next.enter(State::kMinting);
    return write(std::move(next), fmt::format("deadline passed: goes on without {}, every balancer "
                                              "renews",
                                              fmt::join(missing_, ", ")));
  }
  switch (doc_.state) {
    case State::kPrepare:
      if (doc_.aborting) {
        // Nobody has it any more in a slot, nobody ever minted with it.
        std::erase_if(next.doc().generations,
                      [&](const FarmGeneration& g) { return g.id == doc_.next; });
        next.settle(doc_.current, doc_.other);
        what = kAbortedWords;
      } else {
        next.enter(State::kStaged);
      }
      break;
    case State::kMinting:
      complete(next, what);
      break;
    case State::kUnminting:
      if (doc_.aborting) {
        next.settle(doc_.current, doc_.next);
        what = kAbortedWords;
        break;
      }
      [[fallthrough]];
    case State::kStaged:
    case State::kSteady:
      next.enter(State::kMinting);
      break;
  }
  write(std::move(next), what);
}

void Decider::upkeep() {
  Draft next = draft();
  if (next.look_after()) write(std::move(next), "");
}

void Decider::say_held() {
  if (doc_.state == State::kSteady || missing_.empty() || !past_deadline()) return;
  decision_.held = fmt::format("{} for {} s: no acknowledgement from {}", to_string(doc_.state),
                               now_ - doc_.state_since, fmt::join(missing_, ", "));
  if (doc_.state == State::kStaged) decision_.held += "; " + why_hold();
}

void Decider::wake_at(int64_t time) {
  if (time > clock_) decision_.wake_at = std::min(decision_.wake_at.value_or(time), time);
}

void Decider::set_wake() {
  const Policy& policy = author_.policy;
  const Document& doc = decision_.next ? *decision_.next : doc_;
  // Nothing tells when the clock gets synchronised.
  if (!timely_ && !view_.synchronised) wake_at(clock_ + kMaxClockOffset);
  if (doc.state == State::kSteady && policy.interval > 0) {
    wake_at(doc.rotated_at + policy.interval);
  }
  if (doc.state != State::kSteady) wake_at(doc.state_since + policy.deadline);
  const int64_t span =
      policy.interval == 0 ? policy.not_after : std::min(policy.interval, policy.not_after);
  for (const FarmGeneration& generation : doc.generations) {
    if (doc.in_slots(generation.id) && generation.not_after != 0)
      wake_at(generation.not_after - span / 2);
  }
  for (const auto& [node, silent] : view_.silent_for) {
    const bool lost = view_.members.contains(node) && !view_.live.contains(node);
    if (lost && node != author_.node) wake_at(clock_ + policy.forget_after - silent);
  }
}

}  // namespace tfo::rotation
