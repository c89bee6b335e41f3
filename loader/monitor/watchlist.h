// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "loader/config.h"
#include "loader/dataplane/map_set.h"
#include "loader/monitor/subjects.h"

namespace tfo {

/// What a configuration has the SYN-ACK monitor watch; no subjects: it is off.
struct Watchlist {
  std::vector<MonitorSubject> subjects;
  uint32_t bloom_lines = 0;   // of each filter; 0: nobody's SYNs are remembered
  bool each_address = false;  // some prefix' addresses are counted one by one

  MonitorRoom room() const { return {subjects.size(), bloom_lines, each_address}; }
};

/// VIPs that share an address are one subject, by the name of the first of them.
Watchlist watchlist_of(const Config& config);

/// The bits of struct tfo_load_config.monitor that every interface's programs have: TFO_MONITOR_ON
/// if there is anything to watch, and TFO_MONITOR_SOCKETS if SYNs are remembered.
uint8_t monitor_bits(const Config& config);

/// Do SYNs that leave matter to the monitor?
bool watches_syns(const Config& config);

}  // namespace tfo
