// SPDX-License-Identifier: BSD-2-Clause
#include "loader/monitor/exact.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "bpf/synack_core.h"
#include "loader/monitor/per_cpu.h"
#include "loader/monitor/space_saving.h"

namespace tfo {
namespace {

using nlohmann::json;
using Row = std::pair<uint64_t, uint32_t>;  // packets, index

constexpr uint32_t kNet = 256;  // addresses
constexpr unsigned kSubnetLength = 64;
constexpr size_t kLastByte = 15, kLastOfSubnet = 7;  // of an address

/// A value of the map as it lies in memory: each takes a multiple of eight bytes (array_map_alloc).
struct Cell {
  uint32_t packets;
  uint32_t unused;
};

/// The prefix with `offset` in what ends at the byte `last`.
MonitorAddress address_at(const MonitorPrefix& prefix, uint32_t offset, size_t last) {
  MonitorAddress address = prefix.address;
  for (size_t at = last; offset != 0; at--, offset >>= 8) address[at] |= offset & 255;
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

json address_rows(const MonitorPrefix& prefix, const PrefixCounts& came, size_t most) {
  std::vector<Row> rows;
  for (uint32_t at = 0; at < came.addresses.size(); at++) {
    if (came.addresses[at] != 0) rows.emplace_back(came.addresses[at], at);
  }
  const uint64_t all = sum_of(came);
  json out = json::array();
  const std::vector<Row> top = heaviest(std::move(rows), most);
  for (const auto& [packets, at] : top) {
    out.push_back({{"address", address_text(address_at(prefix, at, kLastByte))},
                   {"packets", packets},
                   {"share", share(packets, all)}});
  }
  return out;
}

/// Of the /24s, or of /64s that have a counter each.
json network_rows(const MonitorPrefix& prefix, const PrefixCounts& came, size_t most) {
  std::vector<Row> rows;
  for (uint32_t at = 0; at < came.nets.size(); at++) {
    if (came.nets[at].packets != 0) rows.emplace_back(came.nets[at].packets, at);
  }
  const uint64_t all = sum_of(came);
  json out = json::array();
  const std::vector<Row> top = heaviest(std::move(rows), most);
  for (const auto& [packets, at] : top) {
    const MonitorAddress address = prefix.is_v4() ? address_at(prefix, at * kNet, kLastByte)
                                                  : address_at(prefix, at, kLastOfSubnet);
    const unsigned length = std::max(victim_network_length(address), prefix.length);
    out.push_back(network_row({.address = address, .length = length}, came.nets[at], all));
  }
  return out;
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

/// A /64 and the counter that it is counted in.
struct SubnetRow {
  SpaceSaving<MonitorAddress, MonitorHash>::Entry sampled;
  uint32_t index = 0;
  tfo_tally told{};
};

/// `beside`: what the samples may have of others in its counter; `all`: what came.
bool is_its_own(const SubnetRow& row, double beside, const AttackTables& samples, uint64_t all) {
  constexpr double kSamples = 64, kLittle = 0.05;
  const auto sampled = static_cast<double>(row.sampled.count - row.sampled.error);
  const double weight = samples.weight_max(), seen = static_cast<double>(samples.weight());
  const double lost = std::max(1.0, static_cast<double>(all) / std::max(1.0, seen));
  const double expected = sampled * lost;
  return sampled >= kSamples * weight && beside <= kLittle * sampled &&
         static_cast<double>(row.told.packets) <=
             expected + 4 * std::sqrt(weight * expected) + 4 * weight;
}

}  // namespace

Result<std::unique_ptr<PrefixCounters>> PrefixCounters::open(const MapSet& maps) {
  auto cells = MapMemory::of(maps.monitor.cells);
  if (!cells) return tl::unexpected(std::move(cells).error());
  auto subnets = MapMemory::of(maps.monitor.subnets);
  if (!subnets) return tl::unexpected(std::move(subnets).error());
  return std::unique_ptr<PrefixCounters>(
      new PrefixCounters(maps, std::move(*cells), std::move(*subnets)));
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
    auto sum = sum_of<tfo_tally>(maps_.monitor.net_stats, net);
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
  const bool shared = !prefix.is_v4() && where.subnet_bits + prefix.length < kSubnetLength;
  json networks = shared ? shared_subnets(prefix, where, *now, samples, most)
                         : network_rows(prefix, *now, most);
  if (networks.is_null()) return nullptr;
  json out = {{"victim_networks", std::move(networks)}};
  if (prefix.is_v4()) out["victims"] = address_rows(prefix, *now, most);
  return out;
}

/// Where /64s share counters, the samples must say whose a counter is: nearly all of it, by so many
/// of them that another that has a tenth of it would be seen.
json PrefixCounters::shared_subnets(const MonitorPrefix& prefix, const MonitorCells& where,
                                    const PrefixCounts& came, const AttackTables& samples,
                                    size_t most) const {
  const auto sampled = samples.victim_networks().top(SIZE_MAX);
  std::vector<SubnetRow> rows;
  std::map<uint32_t, uint64_t> in_counter;  // by what is in the samples
  const uint64_t all = sum_of(came);
  for (const auto& entry : sampled) {
    const uint32_t index = subnet_index(where, prefix.length, entry.key, maps_.control.hash_seed());
    in_counter[index] += entry.count;
    if (rows.size() == most) continue;
    rows.push_back({entry, index, came.nets.at(index - where.first_subnet)});
  }
  for (const SubnetRow& row : rows) {
    const uint64_t beside =
        in_counter.at(row.index) - row.sampled.count + samples.victim_networks().unseen();
    if (!is_its_own(row, static_cast<double>(beside), samples, all)) return nullptr;
  }
  std::ranges::sort(rows, std::greater<>(), [](const auto& row) { return row.told.packets; });
  json out = json::array();
  for (const SubnetRow& row : rows) {
    out.push_back(
        network_row({.address = row.sampled.key, .length = kSubnetLength}, row.told, all));
  }
  return out;
}

}  // namespace tfo
