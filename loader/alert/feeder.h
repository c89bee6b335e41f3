// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "loader/alert/engine.h"
#include "loader/config.h"
#include "loader/observe/view.h"

namespace tfo::alert {

/// What the engine is given at a tick. Evidence is asked of the view that it was made from, which
/// must be there still.
struct Input {
  std::vector<Sample> samples;
  std::vector<State> states;
};

/// Turns what tfod knows of itself into samples and states: the rules about the guard, cookies,
/// keys, servers and the data plane. Those about SYN-ACKs are the monitor's.
class Feeder {
 public:
  /// For so long after a key was revoked its cookies are invalid for that reason; seconds.
  static constexpr int64_t kAfterRevoke = 3600;
  static constexpr int64_t kStale = 3600;  // at most so many seconds before the current key ends

  /// `boot_s` measures the time since a revocation.
  Input read(const View& view, const tfo::Config& config, int64_t boot_s);

 private:
  struct Revocations {
    std::set<std::string> ids;
    int64_t last = 0;  // boot seconds
  };
  void look_at_pools(const View& view, int64_t boot_s);
  std::string why_inhibited(const View& view, const std::string& name, int64_t boot_s) const;
  void vips(const View& view, const tfo::Config& config, int64_t boot_s, Input& out) const;

  std::map<std::string, Revocations> revoked_;  // by pool
};

}  // namespace tfo::alert
