// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "loader/keys/store.h"

namespace tfo::rotation {

inline constexpr const char* kStoreUnreachable = "store_unreachable";
inline constexpr const char* kStoreRolledBack = "store_rolled_back";
inline constexpr const char* kStoreRefused = "store_refused";
inline constexpr const char* kFork = "fork";
inline constexpr const char* kFarmKeyMissing = "farm_key_missing";
inline constexpr const char* kStraggler = "straggler";
inline constexpr const char* kRotationHeld = "rotation_held";
inline constexpr const char* kNotMember = "not_member";
inline constexpr const char* kClockOff = "clock_off";
inline constexpr const char* kStateUnsaved = "state_unsaved";
inline constexpr const char* kRevocationLost = "revocation_lost";
inline constexpr const char* kNameTaken = "name_taken";

/// What an agent found wrong and goes on with.
class Troubles {
 public:
  /// For so long is told what mended itself before anybody can have looked.
  static constexpr int64_t kTold = 600'000;  // ms

  /// `changed` is called when something was raised or cleared, or its evidence is another.
  explicit Troubles(std::function<void()> changed) : changed_(std::move(changed)) {}

  void raise(const char* id, const std::string& evidence);
  void clear(const char* id);
  /// It is over, and stays told for kTold.
  void settle(const char* id);
  bool raised(const char* id) const;

  /// Every trouble that there can be, raised or not.
  std::vector<StoreTrouble> list() const;

 private:
  struct Entry {
    std::string evidence;
    int64_t until = 0;  ///< boot clock, ms; 0: until it is cleared
  };

  std::function<void()> changed_;
  std::map<std::string, Entry, std::less<>> entries_;
};

/// CLOCK_BOOTTIME in ms: what intervals are measured with.
int64_t boot_ms();

}  // namespace tfo::rotation
