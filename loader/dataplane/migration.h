// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>

#include "loader/dataplane/live_set.h"
#include "loader/dataplane/pins.h"

namespace tfo {

/// The set of maps to work with, and whether the totals of older ones are still to be carried.
struct OpenedSet {
  std::unique_ptr<LiveSet> set;
  bool created = false;    // nothing was pinned
  bool migrating = false;  // set is in maps_new; finish_migration() is due once all programs use it
};

/// What a set has to hold.
struct SetNeeds {
  size_t vips = 0;
  size_t rows = 0;  // pairs of address and port
  uint32_t handshakes = MapSizes{}.handshakes;
  MonitorRoom monitor = {};
};

/// Adopts the pinned set if it fits this version and these numbers, goes on with a migration that
/// an earlier process began, or begins one, or creates the first set.
Result<OpenedSet> open_set(const PinDirectory& pins, GracePeriod& grace, const SetNeeds& needs);

/// A ready set in maps_new that knows `names`, by slot, and the guard's settings of the set in
/// force.
Result<std::unique_ptr<LiveSet>> make_set(const PinDirectory& pins, GracePeriod& grace,
                                          const MapSizes& sizes,
                                          const std::vector<std::string>& names);

/// Takes over what clients hold open by the guard of the set in force, right before programs are
/// switched to `set`. What cannot be taken over was said in the journal when `set` was made.
Result<> take_loads(const PinDirectory& pins, LiveSet& set);

/// Every program counts in `set` by now: waits until no packet is in an old one, carries the old
/// totals into stats_base (set, not added: may be repeated after a crash), renames.
Result<> finish_migration(const PinDirectory& pins, GracePeriod& grace, const LiveSet& set);

}  // namespace tfo
