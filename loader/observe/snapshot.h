// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bpf/tfo_abi.h"

namespace tfo {

/// Everything that one VIP (or the node) counted: base plus the sum over all CPUs.
/// `action[TFO_PASS]` and `would[TFO_PASS]` are filled in, so that actions, would-be actions and
/// cells each sum to the packets seen.
using Counters = tfo_counters;

struct VipCounters {
  std::string name;  // of the VIP
  Counters counters{};
  tfo_guard_counters guard{};  // of all CPUs
};

/// One reading of all counters, the type that `stats`, `/metrics` and alerts share. Counters only
/// ever grow while a VIP keeps its slot: across reload, restart and upgrade.
struct Snapshot {
  int64_t taken_ns = 0;           // CLOCK_BOOTTIME
  Counters node{};                // packets that belong to no VIP
  std::vector<VipCounters> vips;  // in the order of the configuration
};

/// Packets with this reason, whatever their option and data.
inline uint64_t reason_total(const Counters& counters, unsigned reason) {
  uint64_t total = 0;
  for (const auto& option : counters.cell[reason]) total += option[0] + option[1];
  return total;
}

/// All packets counted.
inline uint64_t packet_total(const Counters& counters) {
  uint64_t total = 0;
  for (unsigned reason = 0; reason < TFO_REASON_COUNT; ++reason) {
    total += reason_total(counters, reason);
  }
  return total;
}

/// sum += other, word by word.
template <class Words>
void add_counters(Words& sum, const Words& other) {
  constexpr size_t kWords = sizeof(Words) / sizeof(uint64_t);
  auto* to = reinterpret_cast<uint64_t*>(&sum);
  const auto* from = reinterpret_cast<const uint64_t*>(&other);
  for (size_t i = 0; i < kWords; ++i) to[i] += from[i];
}

}  // namespace tfo
