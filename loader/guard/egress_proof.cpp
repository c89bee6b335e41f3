// SPDX-License-Identifier: BSD-2-Clause
#include "loader/guard/egress_proof.h"

namespace tfo {

void EgressProof::begin(uint64_t answers, uint32_t opened, int64_t now) {
  answers_ = answers;
  opened_ = opened;
  since_ = now;
  unanswered_ = 0;
}

void EgressProof::look(uint64_t answers, uint32_t opened, int64_t now) {
  const auto more = static_cast<int32_t>(opened - opened_);
  // Other maps have counted less.
  if (answers < answers_ || more < 0) return begin(answers, opened, now);
  if (answers > answers_) {
    armed_ = true;
    blind_ = false;
    return begin(answers, opened, now);
  }
  unanswered_ = static_cast<uint32_t>(more);
  if (unanswered_ == 0) since_ = now;
  if (unanswered_ < kUnanswered || now - since_ < kWhile) return;
  armed_ = false;
  blind_ = true;
}

}  // namespace tfo
