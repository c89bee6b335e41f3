// SPDX-License-Identifier: BSD-2-Clause
#include "tools/farm_goal.h"

namespace tfo {

using nlohmann::json;

FarmGoal::FarmGoal(const FarmStatus& before)
    : before_(before.counter), generations_(before.generations) {
  for (const FarmAsked& one : before.asked) asked_before_.insert(one.id);
}

FarmGoal FarmGoal::rotation(const FarmStatus& before) {
  FarmGoal goal(before);
  goal.kind_ = "rotate";
  return goal;
}

FarmGoal FarmGoal::rekey(const FarmStatus& before, int64_t line, bool all_revoked) {
  FarmGoal goal(before);
  goal.kind_ = "rekey";
  goal.line_ = line;
  goal.fresh_ = all_revoked;
  return goal;
}

void FarmGoal::find(const FarmStatus& now) {
  for (const FarmAsked& one : now.asked) {
    if (one.kind == kind_ && !asked_before_.contains(one.id)) id_ = one.id;
  }
}

bool FarmGoal::reached(const FarmStatus& now) const {
  const bool sealed = line_ == 0 || now.sealing_line >= line_;
  const bool fresh = !fresh_ || (now.steady && !generations_.contains(now.current));
  return sealed && fresh && now.all_acked();
}

bool FarmGoal::left_steady(const FarmStatus& now) const {
  for (const json& event : array_of(now.document, "events")) {
    if (counter_of(text_of(event, "counter")) > before_ && text_of(event, "state") != "steady") {
      return true;
    }
  }
  return !now.steady && now.counter > before_;
}

FarmStep FarmGoal::look(const FarmStatus& now) {
  using Kind = FarmStep::Kind;
  const FarmAsked* const asked = now.find_asked(id_);
  if (asked != nullptr && asked->state == "refused") return {Kind::kRefused, asked->why};
  if (asked != nullptr && asked->state == "failed") return {Kind::kFailed, asked->why};
  if (asked != nullptr && asked->state == "pending") return {Kind::kPending, ""};
  if (reached(now)) return {Kind::kDone, ""};
  moved_ = moved_ || left_steady(now);
  if (fresh_ && moved_ && now.steady && generations_.contains(now.current)) {
    return {Kind::kTakenBack, ""};
  }
  if (!now.steady && !now.held.empty()) return {Kind::kHeld, now.held};
  return {Kind::kGoesOn, ""};
}

}  // namespace tfo
