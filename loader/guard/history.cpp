// SPDX-License-Identifier: BSD-2-Clause
#include "loader/guard/history.h"

namespace tfo {

GuardHistory::Name GuardHistory::name(const GuardChange& change) {
  return {change.vip, change.level, change.network.address, change.network.length};
}

void GuardHistory::keep(const GuardChange& change) {
  changes_.push_front(change);
  if (changes_.size() > kMost) changes_.pop_back();
}

bool GuardHistory::add(const GuardChange& change) {
  const Name who = name(change);
  const bool told = told_.erase(who) != 0;
  if (change.event == "entered") {
    if (inside_.size() < kMostOpen) inside_.insert(who);
  } else if (change.event == "left") {
    inside_.erase(who);
    if (told) return false;
  }
  keep(change);
  return true;
}

std::vector<GuardChange> GuardHistory::settle(const std::vector<GuardChange>& guarded,
                                              int64_t now) {
  std::set<Name> still;
  for (const GuardChange& one : guarded) still.insert(name(one));
  std::vector<GuardChange> left;
  for (auto at = inside_.begin(); at != inside_.end();) {
    if (still.contains(*at)) {
      ++at;
      continue;
    }
    const auto& [vip, level, address, length] = *at;
    left.push_back(
        {.at = now, .event = "left", .network = {address, length}, .vip = vip, .level = level});
    if (told_.size() < kMostOpen) told_.insert(*at);
    keep(left.back());
    at = inside_.erase(at);
  }
  return left;
}

}  // namespace tfo
