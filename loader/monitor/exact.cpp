// SPDX-License-Identifier: BSD-2-Clause
#include "loader/monitor/exact.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "bpf/synack_core.h"
#include "loader/monitor/per_cpu.h"

namespace tfo {
namespace {

using nlohmann::json;
using Row = std::pair<uint64_t, uint32_t>;  // packets, index

constexpr uint32_t kNet = 256;  // addresses
constexpr unsigned kSubnetLength = 64;
constexpr size_t kCandidates = 64;  // for the heaviest

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

json network_row(const MonitorPrefix& network, const tfo_tally& came, uint64_t all) {
  return {{"network", network_text(network)},
          {"packets", came.packets},
          {"bytes", came.bytes},
          {"share", share(came.packets, all)}};
}

uint64_t sum_of(const PrefixCounts& came) {
  uint64_t all = 0;
  for (const tfo_tally& one : came.nets) all += one.packets;
  return all;
}

json ipv4_victims(const MonitorPrefix& prefix, const PrefixCounts& came, size_t most) {
  std::vector<Row> addresses, nets;
  for (uint32_t at = 0; at < came.addresses.size(); at++) {
    if (came.addresses[at] != 0) addresses.emplace_back(came.addresses[at], at);
  }
  for (uint32_t at = 0; at < came.nets.size(); at++) {
    if (came.nets[at].packets != 0) nets.emplace_back(came.nets[at].packets, at);
  }
  const uint64_t all = sum_of(came);
  json victims = json::array(), networks = json::array();
  for (const auto& [packets, at] : heaviest(std::move(addresses), most)) {
    victims.push_back({{"address", address_text(address_at(prefix, at))},
                       {"packets", packets},
                       {"share", share(packets, all)}});
  }
  for (const auto& [packets, at] : heaviest(std::move(nets), most)) {
    const MonitorAddress address = address_at(prefix, at * kNet);
    const unsigned length = std::max(network_length(address), prefix.length);
    networks.push_back(network_row({.address = address, .length = length}, came.nets[at], all));
  }
  return {{"victims", std::move(victims)}, {"victim_networks", std::move(networks)}};
}

/// As the programs find it.
uint32_t subnet_index(const MonitorCells& where, unsigned length, const MonitorAddress& subnet,
                      const __u64* seed) {
  tfo_target target{};
  target.around_length = static_cast<__u8>(length);
  target.first = where.first();
  tfo_vip_key key{};
  std::memcpy(&key.high, subnet.data(), sizeof(key.high));
  return tfo_subnet_of(&target, &key, seed);
}

}  // namespace

Result<PrefixCounters> PrefixCounters::open(const MapSet& maps) {
  auto cells = MapMemory::of(maps.monitor.cells);
  if (!cells) return tl::unexpected(std::move(cells).error());
  auto subnets = MapMemory::of(maps.monitor.subnets);
  if (!subnets) return tl::unexpected(std::move(subnets).error());
  return PrefixCounters(maps, std::move(*cells), std::move(*subnets));
}

std::vector<uint32_t> PrefixCounters::read_nets(const MonitorCells& where) const {
  std::vector<uint32_t> nets(where.nets);
  const Cell* cell = cells_->at<Cell>(where.first_net * kNet);
  for (uint32_t& net : nets) {
    for (uint32_t i = 0; i < kNet; i++) net += cell++->packets;
  }
  return nets;
}

Result<PrefixCounts> PrefixCounters::read(const MonitorCells& where) const {
  PrefixCounts counts;
  if (where.nets == 0) {
    const auto* first = subnets_->at<tfo_tally>(where.first_subnet);
    counts.nets.assign(first, first + (size_t{1} << where.subnet_bits));
    return counts;
  }
  const std::span addresses(cells_->at<Cell>(where.first_net * kNet), size_t{where.nets} * kNet);
  counts.addresses.reserve(addresses.size());
  for (const Cell& cell : addresses) counts.addresses.push_back(cell.packets);
  for (uint32_t net = where.first_net; net < where.first_net + where.nets; net++) {
    auto sum = sum_of<tfo_tally>(maps_->monitor.net_stats, net);
    if (!sum) return tl::unexpected(std::move(sum).error());
    counts.nets.push_back(*sum);
  }
  return counts;
}

json PrefixCounters::victims(const MonitorPrefix& prefix, const MonitorCells& where,
                             const PrefixCounts& start, const AttackTables& samples,
                             size_t most) const {
  auto now = read(where);
  if (!now) return nullptr;
  for (size_t at = 0; at < now->addresses.size(); at++) now->addresses[at] -= start.addresses[at];
  for (size_t at = 0; at < now->nets.size(); at++) {
    now->nets[at].packets -= start.nets[at].packets;
    now->nets[at].bytes -= start.nets[at].bytes;
  }
  return where.nets == 0 ? subnets(prefix, where, *now, samples, most)
                         : ipv4_victims(prefix, *now, most);
}

/// The /64s have no names in the counters: the samples have them.
json PrefixCounters::subnets(const MonitorPrefix& prefix, const MonitorCells& where,
                             const PrefixCounts& came, const AttackTables& samples,
                             size_t most) const {
  const uint64_t all = sum_of(came);
  const double seen = std::max<double>(1, static_cast<double>(samples.weight()));
  const double lost = std::max(1.0, static_cast<double>(all) / seen);
  std::vector<std::pair<tfo_tally, MonitorAddress>> rows;
  for (const auto& entry : samples.victim_networks().top(kCandidates)) {
    const uint32_t index =
        subnet_index(where, prefix.length, entry.key, maps_->control.hash_seed());
    const tfo_tally& tally = came.nets.at(index - where.first_subnet);
    const double expected = static_cast<double>(entry.count) * lost, weight = samples.weight_max();
    const double tolerance = 4 * std::sqrt(weight * expected) + 4 * weight;
    if (static_cast<double>(tally.packets) > expected + tolerance) return nullptr;
    rows.emplace_back(tally, entry.key);
  }
  std::ranges::sort(rows, std::greater<>(), [](const auto& row) { return row.first.packets; });
  rows.resize(std::min(most, rows.size()));
  json networks = json::array();
  for (const auto& [tally, address] : rows) {
    networks.push_back(network_row({.address = address, .length = kSubnetLength}, tally, all));
  }
  return {{"victim_networks", std::move(networks)}};
}

}  // namespace tfo
