// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/drift.h"

#include <fmt/format.h>

#include <algorithm>

namespace tfo {

void RepairLog::note(int64_t now) {
  times_.push_back(now);
  if (times_.size() > kFight) times_.pop_front();
  ++total_;
}

bool RepairLog::shown(int64_t now) const { return !times_.empty() && now - times_.back() < kShown; }

size_t RepairLog::recent(int64_t now) const {
  return static_cast<size_t>(std::count_if(times_.begin(), times_.end(),
                                           [&](int64_t at) { return now - at < kFightWindow; }));
}

bool RepairLog::fight(int64_t now) const { return recent(now) >= kFight; }

std::string RepairLog::repaired_evidence(int64_t now, const std::string& what) const {
  if (!shown(now)) return {};
  return fmt::format("{}; written again, {} time{} since tfod started", what, total_,
                     total_ == 1 ? "" : "s");
}

std::string RepairLog::fight_evidence(int64_t now, const std::string& what) const {
  if (!fight(now)) return {};
  return fmt::format(
      "{}; {} or more times in {} minutes: another program keeps writing it, and what it writes is "
      "in force for up to two seconds each time; stop it, or let it have its way with "
      "server.on_drift \"report\" or manage_sysctl false",
      what, kFight, kFightWindow / 60);
}

}  // namespace tfo
