// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/rotation.h"
#include "loader/rotation/document.h"

namespace tfo::rotation {
namespace {

/// `unminting` is a `staged` whose new key was minted with before: the places are the same.
Phase phase_of(State state) {
  switch (state) {
    case State::kPrepare:
      return Phase::prepare;
    case State::kStaged:
    case State::kUnminting:
      return Phase::staged;
    case State::kMinting:
      return Phase::minting;
    case State::kSteady:
      break;
  }
  return Phase::steady;
}

tfo_place place_of(const Document& document, const FarmGeneration& generation) {
  const State state = document.state;
  if (generation.revoked) return TFO_PLACE_REVOKED;
  if (generation.id == document.current) {
    return state == State::kMinting ? TFO_PLACE_PREVIOUS : TFO_PLACE_CURRENT;
  }
  if (generation.id == document.next) {
    return state == State::kMinting ? TFO_PLACE_CURRENT : TFO_PLACE_STAGED;
  }
  const bool other_held = state == State::kSteady || state == State::kPrepare;
  return generation.id == document.other && other_held ? TFO_PLACE_PREVIOUS : TFO_PLACE_RETIRED;
}

}  // namespace

std::vector<uint64_t> slots_of(const Document& document) {
  switch (document.state) {
    case State::kSteady:
    case State::kPrepare:
      return {document.current, document.other};
    case State::kStaged:
    case State::kUnminting:
      return {document.current, document.next};
    case State::kMinting:
      break;
  }
  return {document.next, document.current};
}

KeyRing ring_of(const Document& document, uint64_t revision, int64_t now, int64_t renew_until) {
  KeyRing ring;
  ring.revision = revision;
  ring.phase = phase_of(document.state);
  const auto& all = document.generations;
  for (auto generation = all.rbegin(); generation != all.rend(); ++generation) {
    const tfo_place place = place_of(document, *generation);
    const bool expired = generation->not_after != 0 && generation->not_after <= now;
    if (expired && place >= TFO_PLACE_RETIRED) continue;
    ring.generations.push_back({.id = generation->id,
                                .key = generation->key,
                                .place = place,
                                .created_at = generation->created_at,
                                .not_after = generation->not_after});
  }
  ring.sort();
  ring.renewal = local_renewal(ring);
  ring.renewal.until = renew_until;
  ring.fresh_until = renew_until;
  return ring;
}

}  // namespace tfo::rotation
