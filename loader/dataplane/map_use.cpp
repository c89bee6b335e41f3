// SPDX-License-Identifier: BSD-2-Clause
#include <linux/bpf.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string_view>

#include "loader/dataplane/live_set.h"

namespace tfo {
namespace {

/// Packets see one half of these, the other one is for the next change.
constexpr std::string_view kTwoSided[] = {"vips", "rings", "policies", "guards"};

}  // namespace

std::vector<MapUse> LiveSet::use() const {
  // Known here without a look at the maps. Of the others nobody but the programs knows.
  const std::map<std::string_view, uint64_t> known = {{"vips", rows_},
                                                      {"stats", slots_.used()},
                                                      {"rings", pools_.used()},
                                                      {"guard_list", maps_.control.guard_list()}};
  std::vector<MapUse> all;
  for (const Map* map : maps_.all()) {
    if (map->entries() <= 1 || map->shape().type == BPF_MAP_TYPE_RINGBUF) continue;
    const bool halved = std::ranges::find(kTwoSided, map->name()) != std::end(kTwoSided);
    const auto count = known.find(map->name());
    all.push_back({map->name(), map->entries() / (halved ? 2 : 1),
                   count == known.end() ? std::nullopt : std::optional(count->second)});
  }
  return all;
}

}  // namespace tfo
