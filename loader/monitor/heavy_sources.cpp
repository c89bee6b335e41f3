// SPDX-License-Identifier: BSD-2-Clause
#include "loader/monitor/heavy_sources.h"

#include <algorithm>
#include <cstring>

#include "bpf/bloom.h"

namespace tfo {

std::vector<HeavySource> heavy_sources(const MonitorMaps& maps, const MapMemory& memory,
                                       uint32_t epoch) {
  std::vector<HeavySource> found;
  for (uint32_t cell = 0; cell < TFO_BLOOM_SOURCES; cell++) {
    const tfo_heavy_source* one = memory.at<tfo_heavy_source>(cell);
    if ((one->address[0] | one->address[1]) == 0 || tfo_is_heavy(one, epoch) == 0) continue;
    HeavySource source;
    std::memcpy(source.address.data(), one->address, source.address.size());
    uint32_t count = 0;
    if (maps.sources.read(cell, &count)) source.syns = count & TFO_SOURCE_MASK;
    found.push_back(source);
  }
  std::ranges::sort(found, std::ranges::greater(), &HeavySource::syns);
  return found;
}

}  // namespace tfo
