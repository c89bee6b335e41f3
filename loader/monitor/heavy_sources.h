// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "loader/dataplane/map_memory.h"
#include "loader/dataplane/map_set.h"
#include "loader/monitor/config.h"

namespace tfo {

/// A local address that sends more SYNs than its share (TFO_BLOOM_HEAVY).
struct HeavySource {
  MonitorAddress address{};
  uint64_t syns = 0;  // new ones, in the epoch that it last sent in: at least
};

/// Those of the last epochs, most first. `memory`: of maps.heavy. Of two with one hash only one is
/// found.
std::vector<HeavySource> heavy_sources(const MonitorMaps& maps, const MapMemory& memory,
                                       uint32_t epoch);

}  // namespace tfo
