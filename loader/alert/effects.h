// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "loader/alert/engine.h"
#include "loader/observe/view.h"

namespace tfo::alert {

/// What an attack does to the servers that are looked after: resets sent, SYN cookies, full Fast
/// Open queues, as the kernel counts them in all their namespaces together, over the last hour.
class Effects {
 public:
  static constexpr int64_t kStep = 10;      // seconds
  static constexpr int64_t kMemory = 3700;  // seconds

  /// Every second or so. `now_s` only grows.
  void see(int64_t now_s, const std::vector<NamespaceView>& namespaces);

  /// {resets_out, syncookies_sent, listen_overflow, seconds} of the last so many seconds, or a few
  /// more or all that is known; what no kernel here counts is "n/a", and so is all where there are
  /// no servers.
  nlohmann::json since(int64_t seconds) const;

 private:
  static constexpr size_t kCounts = 3;
  using Counts = std::array<std::optional<uint64_t>, kCounts>;
  struct Mark {
    int64_t at = 0;
    Counts counts;
  };
  std::map<std::string, Counts> last_;  // by namespace
  Counts sum_;                          // grown since the beginning
  int64_t now_ = 0;
  std::deque<Mark> marks_;
};

/// Adds to the evidence of the monitor's samples on which interfaces, how, the node looks ("hooks")
/// and what it does to the servers ("effect"). All three must be there as long as evidence may be
/// asked for.
void add_surroundings(std::vector<Sample>& samples, const View& view, const Effects& effects);

}  // namespace tfo::alert
