// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bpf/tfo_abi.h"
#include "loader/dataplane/map_set.h"
#include "loader/result.h"

namespace tfo {

/// The guard of a set of maps that another one takes the place of.
struct OldGuard {
  Map heads;
  Map rows;
  Map handshakes;
  ArrayMap<tfo_guard_vip> vips;
  ArrayMap<tfo_guard> settings;
  Map list;
  __u64 seed[2] = {};              // clients are named under it
  uint32_t side = 0;               // of the settings in force
  std::vector<std::string> names;  // VIPs by slot; empty: none

  /// The one pinned in `directory`. Nothing if no guard was known to whoever made it; an error if
  /// its layout is another one, which says so in words.
  static Result<std::optional<OldGuard>> open(const std::filesystem::path& directory);

  /// open(), and what cannot be taken over goes to the journal.
  static std::optional<OldGuard> find(const std::filesystem::path& directory);

  /// Those of the slot that were in force.
  Result<tfo_guard> settings_of(uint32_t slot) const;
};

}  // namespace tfo
