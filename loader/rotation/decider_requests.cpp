// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>

#include "loader/rotation/decider.h"
#include "loader/rotation/tally.h"

namespace tfo::rotation {
namespace {

bool opens(const Ack& ack, uint32_t key) {
  return std::find(ack.opens.begin(), ack.opens.end(), key) != ack.opens.end();
}

/// The earliest counter that an operator can have seen for a request of this kind to be about what
/// stands now. Only upkeep leaves no event, and it changes nothing that anybody decides on; to a
/// rotation that is under way an abort means the same in all its states.
Counter oldest_that_counts(const Document& document, Request::Kind kind) {
  const auto& events = document.events;
  if (events.empty()) return document.counter;
  if (kind == Request::Kind::kAbort && document.state != State::kSteady) {
    const auto begun = std::find_if(events.rbegin(), events.rend(),
                                    [](const Event& e) { return e.state == State::kPrepare; });
    if (begun != events.rend()) return begun->counter;
  }
  return events.back().counter;
}

}  // namespace

void Decider::serve_requests() {
  std::vector<const Request*> waiting;
  waiting.reserve(view_.requests.size());
  for (const Request& request : view_.requests) waiting.push_back(&request);
  std::sort(waiting.begin(), waiting.end(), [](const Request* a, const Request* b) {
    return std::tie(a->at, a->id) < std::tie(b->at, b->id);
  });
  for (const Request* request : waiting) {
    Outcome outcome = answer(*request);
    if (!outcome) {
      decision_.refused[request->id] = outcome.error().message;
    } else if (auto& served = *outcome) {
      decision_.served.push_back(request->id);
      return write(std::move(served->draft), served->what);
    }
  }
}

Result<> Decider::check_counter(const Request& request) const {
  const Counter oldest = oldest_that_counts(doc_, request.kind);
  if (request.expects.incarnation == doc_.counter.incarnation && request.expects >= oldest &&
      request.expects <= doc_.counter) {
    return {};
  }
  return fail(
      fmt::format("it was asked of document {}, and the farm stands at {}: look at what has "
                  "changed (tfoctl key history) and ask again",
                  request.expects.text(), doc_.counter.text()));
}

Decider::Outcome Decider::answer(const Request& request) {
  if (auto good = check_counter(request); !good) return tl::unexpected(std::move(good.error()));
  switch (request.kind) {
    case Request::Kind::kRotate:
      return rotate();
    case Request::Kind::kAbort:
      return abort();
    case Request::Kind::kRevoke:
      return revoke(request);
    case Request::Kind::kForget:
      return forget(request);
    case Request::Kind::kRekey:
      break;
  }
  return rekey(request);
}

Decider::Outcome Decider::rotate() const {
  if (doc_.state != State::kSteady) {
    return fail(
        fmt::format("a rotation is under way already (state {}): wait for it, or stop it with "
                    "`tfoctl key abort`",
                    to_string(doc_.state)));
  }
  if (!view_.may_mint) return std::optional<Answer>();
  Draft next = draft();
  next.begin();
  return Answer{std::move(next), "rotation by command"};
}

Decider::Outcome Decider::abort() const {
  if (doc_.state == State::kSteady) return fail("no rotation is under way");
  if (doc_.aborting) return fail("the rotation is on its way back already");
  Draft next = draft();
  const bool minted = doc_.state == State::kMinting || doc_.state == State::kUnminting;
  next.enter(minted ? State::kUnminting : State::kPrepare, true);
  std::string what = "abort by command";
  if (doc_.doomed != 0) what += fmt::format(", {} is not revoked", id_text(doc_.doomed));
  return Answer{std::move(next), std::move(what)};
}

Decider::Outcome Decider::revoke_gently(const FarmGeneration& generation) const {
  if (generation.id == doc_.next) {
    return fail(
        fmt::format("{} is not current yet: stop the rotation with `tfoctl key abort`, or "
                    "revoke it without --gentle",
                    id_text(generation.id)));
  }
  if (doc_.aborting) {
    return fail("a rotation is on its way back: wait for it, or revoke without --gentle");
  }
  Draft next = draft();
  if (doc_.state == State::kSteady) {
    if (!view_.may_mint) return std::optional<Answer>();
    next.begin();
  }
  next.doc().doomed = generation.id;
  return Answer{std::move(next), fmt::format("{} is revoked when this rotation is complete",
                                             id_text(generation.id))};
}

/// Takes a generation out of the slots, in one document. What servers hold besides, or will, takes
/// its place: in `prepare` the validators know the next key already, from `staged` on the servers
/// do, and no other one can be in all of them.
void Decider::take_out(Draft& next, uint64_t id) const {
  Document& doc = next.doc();
  const bool early = doc_.state == State::kSteady || doc_.state == State::kPrepare;
  if (id == doc_.other) {
    doc.other = 0;
  } else if (id == doc_.next) {
    next.settle(doc_.current, early ? doc_.other : 0);
  } else if (id == doc_.current) {
    const uint64_t successor = doc_.next != 0 ? doc_.next : next.add_fresh();
    next.settle(successor, early ? doc_.other : 0);
    doc.rotated_at = now_;
  }
}

Decider::Outcome Decider::revoke(const Request& request) const {
  const FarmGeneration* generation = doc_.find(request.generation);
  const std::string name = id_text(request.generation);
  if (generation == nullptr) return fail(fmt::format("there is no generation {}", name));
  if (generation->revoked) return fail(fmt::format("{} is revoked already", name));
  const bool held = generation->id == doc_.current || generation->id == doc_.next;
  if (request.gentle && held) return revoke_gently(*generation);
  const bool mints = generation->id == doc_.current && doc_.next == 0;
  if (mints && !view_.may_mint) return std::optional<Answer>();
  Draft next = draft();
  next.doc().find(generation->id)->revoked = true;
  take_out(next, generation->id);
  return Answer{std::move(next), fmt::format("{}{}", kRevokedWords, name)};
}

Decider::Outcome Decider::forget(const Request& request) {
  const auto member = view_.members.find(request.node);
  if (member == view_.members.end()) return fail(request.node + " is not a member");
  if (!request.off_wire) {
    if (view_.live.contains(request.node)) {
      return fail(request.node +
                  " is alive: stop its tfod, or give --off-wire if it sees no packets any more");
    }
    const auto silent = view_.silent_for.find(request.node);
    const int64_t left =
        author_.policy.forget_after - (silent == view_.silent_for.end() ? 0 : silent->second);
    if (member->second.balancer && left > 0) {
      return fail(
          fmt::format("{} is a balancer and may renew by its last document for a while: it is "
                      "forgotten by itself in {} s; give --off-wire if it sees no packets any more",
                      request.node, left));
    }
  }
  decision_.forget.push_back(request.node);
  Draft next = draft();
  next.doc().forgotten.insert(request.node);
  return Answer{std::move(next), "forgot " + request.node + " by command"};
}

Decider::Outcome Decider::rekey(const Request& request) const {
  if (request.key < doc_.min_key || (request.key == doc_.min_key && !request.revoke_all)) {
    return fail(
        fmt::format("the farm is sealed under line {} of the farm key file: {} is not a "
                    "later one",
                    doc_.min_key, request.key));
  }
  // Of members whose record is not back yet nobody knows what they can open.
  if (!view_.complete) return std::optional<Answer>();
  std::vector<std::string> without;
  for (const auto& [node, member] : view_.members) {
    const auto ack = view_.acks.find(node);
    if (ack == view_.acks.end() || !opens(ack->second, request.key)) without.push_back(node);
  }
  if (!without.empty()) {
    return fail(fmt::format("line {} of the farm key file is not on {}: copy the file there first",
                            request.key, fmt::join(without, ", ")));
  }
  if (request.revoke_all && !view_.may_mint) return std::optional<Answer>();
  Draft next = draft();
  next.doc().min_key = request.key;
  std::string what = fmt::format("sealed under line {} of the farm key file", request.key);
  if (request.revoke_all) {
    for (FarmGeneration& generation : next.doc().generations) generation.revoked = true;
    next.settle(next.add_fresh(), 0);
    next.doc().rotated_at = now_;
    what += fmt::format(", {}", kAllRevokedWords);
  }
  return Answer{std::move(next), std::move(what)};
}

}  // namespace tfo::rotation
