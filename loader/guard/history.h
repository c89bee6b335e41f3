// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "loader/guard/network.h"

namespace tfo {

/// Something that happened to a client network.
struct GuardChange {
  int64_t at = 0;     // unix seconds
  std::string event;  // entered, left, released, denied, allowed
  ClientNetwork network;
  std::string vip;    // empty: of all VIPs
  std::string level;  // level_label(); empty where the operator did it
  uint32_t load = 0;
  uint32_t limit = 0;
};

/// What became of client networks, as far as it fits. Programs tell that a network left when its
/// next packet comes; one that fell silent is seen by settle() before.
class GuardHistory {
 public:
  static constexpr size_t kMost = 256;       // changes that are kept
  static constexpr size_t kMostOpen = 4096;  // networks whose leaving is waited for

  /// False if it told nothing new.
  bool add(const GuardChange& change);
  /// Of the networks that entered, those that are not in `guarded`: they left, at `now`.
  std::vector<GuardChange> settle(const std::vector<GuardChange>& guarded, int64_t now);
  /// Newest first.
  const std::deque<GuardChange>& changes() const { return changes_; }

 private:
  using Name = std::tuple<std::string, std::string, ConfigAddress, unsigned>;
  static Name name(const GuardChange& change);
  void keep(const GuardChange& change);
  std::deque<GuardChange> changes_;
  std::set<Name> inside_;
  std::set<Name> told_;  // left by settle(), and not yet by the programs
};

}  // namespace tfo
