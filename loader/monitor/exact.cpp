// SPDX-License-Identifier: BSD-2-Clause
#include "loader/monitor/exact.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "loader/monitor/attack_tables.h"
#include "loader/monitor/per_cpu.h"

namespace tfo {
namespace {

using nlohmann::json;
using Row = std::pair<uint64_t, uint32_t>;  // packets, index

constexpr uint32_t kNet = 256;  // addresses

/// A value of the map as it lies in memory: each takes a multiple of eight bytes (array_map_alloc).
struct Cell {
  uint32_t packets;
  uint32_t unused;
};

MonitorAddress address_at(const MonitorPrefix& prefix, uint32_t offset) {
  MonitorAddress address = prefix.address;
  for (size_t at = 15; offset != 0; at--, offset >>= 8) address[at] |= offset & 255;
  return address;
}

/// The heaviest, most first.
std::vector<Row> heaviest(std::vector<Row> rows, size_t most) {
  const size_t kept = std::min(most, rows.size());
  std::partial_sort(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(kept), rows.end(),
                    std::greater<>());
  rows.resize(kept);
  return rows;
}

}  // namespace

std::vector<uint32_t> read_nets(const MapMemory& cells, const MonitorCells& where) {
  std::vector<uint32_t> nets(where.nets);
  const Cell* cell = cells.at<Cell>(where.first_net * kNet);
  for (uint32_t& net : nets) {
    for (uint32_t i = 0; i < kNet; i++) net += cell++->packets;
  }
  return nets;
}

Result<PrefixCounts> read_counts(const MapMemory& cells, const Map& net_stats,
                                 const MonitorCells& where) {
  const std::span addresses(cells.at<Cell>(where.first_net * kNet), size_t{where.nets} * kNet);
  PrefixCounts counts;
  counts.addresses.reserve(addresses.size());
  for (const Cell& cell : addresses) counts.addresses.push_back(cell.packets);
  for (uint32_t net = where.first_net; net < where.first_net + where.nets; net++) {
    auto sum = sum_of<tfo_tally>(net_stats, net);
    if (!sum) return tl::unexpected(std::move(sum).error());
    counts.nets.push_back(*sum);
  }
  return counts;
}

json exact_victims(const MonitorPrefix& prefix, const PrefixCounts& now, const PrefixCounts& start,
                   size_t most) {
  std::vector<Row> addresses, nets;
  uint64_t all = 0;
  for (uint32_t at = 0; at < now.addresses.size(); at++) {
    const uint32_t came = now.addresses[at] - start.addresses[at];
    if (came != 0) addresses.emplace_back(came, at);
  }
  for (uint32_t at = 0; at < now.nets.size(); at++) {
    const uint64_t came = now.nets[at].packets - start.nets[at].packets;
    if (came != 0) nets.emplace_back(came, at);
    all += came;
  }
  json victims = json::array(), networks = json::array();
  const std::vector<Row> top_addresses = heaviest(std::move(addresses), most);
  const std::vector<Row> top_nets = heaviest(std::move(nets), most);
  for (const auto& [packets, at] : top_addresses) {
    victims.push_back({{"address", address_text(address_at(prefix, at))},
                       {"packets", packets},
                       {"share", share(packets, all)}});
  }
  for (const auto& [packets, at] : top_nets) {
    const MonitorAddress address = address_at(prefix, at * kNet);
    networks.push_back(
        {{"network", network_text({.address = address,
                                   .length = std::max(network_length(address), prefix.length)})},
         {"packets", packets},
         {"bytes", now.nets[at].bytes - start.nets[at].bytes},
         {"share", share(packets, all)}});
  }
  return {{"victims", std::move(victims)}, {"victim_networks", std::move(networks)}};
}

}  // namespace tfo
