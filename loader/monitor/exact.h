// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "loader/dataplane/map.h"
#include "loader/dataplane/map_memory.h"
#include "loader/monitor/subjects.h"
#include "loader/result.h"

namespace tfo {

/// What the programs counted for each address and each /24 of a declared IPv4 prefix, SYN-ACKs of
/// those in it that have a name of their own included. Resets are not counted so.
struct PrefixCounts {
  std::vector<uint32_t> addresses;  // packets; they wrap
  std::vector<tfo_tally> nets;

  bool empty() const { return nets.empty(); }
};

/// `where`: of the prefix, not of IPv6. A system call for each /24.
Result<PrefixCounts> read_counts(const MapMemory& cells, const Map& net_stats,
                                 const MonitorCells& where);

/// Packets of each /24, which wrap, as `where` of read_counts(); without a system call.
std::vector<uint32_t> read_nets(const MapMemory& cells, const MonitorCells& where);

/// {victims: [{address, packets, share}], victim_networks: [{network, packets, bytes, share}]}: the
/// heaviest, at most `most` each, of what was counted since.
nlohmann::json exact_victims(const MonitorPrefix& prefix, const PrefixCounts& now,
                             const PrefixCounts& start, size_t most);

}  // namespace tfo
