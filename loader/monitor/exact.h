// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <utility>
#include <vector>

#include "loader/dataplane/map_memory.h"
#include "loader/dataplane/map_set.h"
#include "loader/monitor/attack_tables.h"
#include "loader/monitor/subjects.h"
#include "loader/result.h"

namespace tfo {

/// What the programs counted within a declared prefix: SYN-ACKs and resets, also to those in it
/// that have a name of their own.
struct PrefixCounts {
  std::vector<uint32_t> addresses;  // packets of each; they wrap; none of IPv6
  std::vector<tfo_tally> nets;      // of each /24; of IPv6 of each counter: tfo_subnet_of()

  bool empty() const { return nets.empty(); }
};

/// The counters of the addresses and networks of declared prefixes.
class PrefixCounters {
 public:
  /// `maps` outlives it.
  static Result<std::unique_ptr<PrefixCounters>> open(const MapSet& maps);

  /// A system call for each /24.
  Result<PrefixCounts> read(const MonitorCells& where) const;
  /// Packets of each /24 of an IPv4 prefix, which wrap; without a system call.
  std::vector<uint32_t> read_nets(const MonitorCells& where) const;

  /// {victims: [{address, packets, share}], victim_networks: [{network, packets, bytes, share}]},
  /// the heaviest, at most `most` each, of what was counted since `start`, resets too. Of IPv6 no
  /// victims. Null if a prefix has more /64s than counters and `samples` do not make sure whose
  /// they are.
  nlohmann::json victims(const MonitorPrefix& prefix, const MonitorCells& where,
                         const PrefixCounts& start, const AttackTables& samples, size_t most) const;

 private:
  PrefixCounters(const MapSet& maps, std::unique_ptr<MapMemory> cells,
                 std::unique_ptr<MapMemory> subnets)
      : maps_(maps), cells_(std::move(cells)), subnets_(std::move(subnets)) {}
  nlohmann::json shared_subnets(const MonitorPrefix& prefix, const MonitorCells& where,
                                const PrefixCounts& came, const AttackTables& samples,
                                size_t most) const;

  const MapSet& maps_;
  std::unique_ptr<MapMemory> cells_;
  std::unique_ptr<MapMemory> subnets_;
};

}  // namespace tfo
