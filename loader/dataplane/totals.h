// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "bpf/tfo_abi.h"
#include "loader/dataplane/map.h"
#include "loader/result.h"

namespace tfo {

/// totals[slot * words + i] += word i of base (may be null) and of all CPUs, of slots [0, count).
/// Values may be shorter or longer than that: what a layout lacks is zero.
Result<> add_words(const Map& stats, const Map* base, uint32_t count, size_t words,
                   uint64_t* totals);

/// Reads base (if asked for) plus all CPUs of slots [0, count) of a set of maps of any size of
/// `Counters`, a struct of words: those that the older layout lacks are zero.
template <class Counters>
Result<std::vector<Counters>> read_counters(const Map& stats, const Map* base, uint32_t count) {
  static_assert(sizeof(Counters) % sizeof(uint64_t) == 0);
  std::vector<Counters> totals(count);
  auto added = add_words(stats, base, count, sizeof(Counters) / sizeof(uint64_t),
                         reinterpret_cast<uint64_t*>(totals.data()));
  if (!added) return tl::unexpected(std::move(added).error());
  return totals;
}

inline Result<std::vector<tfo_counters>> read_totals(const Map& stats, const Map* base,
                                                     uint32_t count) {
  return read_counters<tfo_counters>(stats, base, count);
}

}  // namespace tfo
