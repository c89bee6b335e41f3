// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/troubles.h"

#include <ctime>

namespace tfo::rotation {
namespace {

constexpr const char* kAll[] = {kStoreUnreachable, kStoreRolledBack, kStoreRefused,   kFork,
                                kFarmKeyMissing,   kStraggler,       kRotationHeld,   kNotMember,
                                kClockOff,         kStateUnsaved,    kRevocationLost, kNameTaken};

}  // namespace

int64_t boot_ms() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

void Troubles::raise(const char* id, const std::string& evidence) {
  const auto [entry, is_new] = entries_.try_emplace(id);
  const bool other = is_new || entry->second.evidence != evidence;
  entry->second = {evidence, 0};
  if (other) changed_();
}

void Troubles::clear(const char* id) {
  if (entries_.erase(id) > 0) changed_();
}

void Troubles::settle(const char* id) {
  const auto found = entries_.find(id);
  if (found != entries_.end() && found->second.until == 0) found->second.until = boot_ms() + kTold;
}

bool Troubles::raised(const char* id) const {
  const auto found = entries_.find(id);
  return found != entries_.end() && (found->second.until == 0 || found->second.until > boot_ms());
}

std::vector<StoreTrouble> Troubles::list() const {
  std::vector<StoreTrouble> all;
  const int64_t now = boot_ms();
  for (const char* id : kAll) {
    const auto found = entries_.find(id);
    const bool told =
        found != entries_.end() && (found->second.until == 0 || found->second.until > now);
    all.push_back({id, told ? found->second.evidence : ""});
  }
  return all;
}

}  // namespace tfo::rotation
