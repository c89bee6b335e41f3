// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "bpf/tfo_abi.h"

namespace tfo {

/// How full the monitor's filters of SYNs that left are (bpf/bloom.h), and what that makes of a
/// look-up. Known exactly, since inserts are counted.
class BloomLoad {
 public:
  /// `cpus`: every CPU's counters; `epoch`: now; `lines`: of each filter.
  BloomLoad(std::span<const tfo_monitor_cpu> cpus, uint32_t epoch, uint32_t lines);

  /// Inserts of a filter in the epoch of this age, 0: the one that is running.
  uint64_t inserts(tfo_bloom_filter filter, unsigned age) const { return inserts_[filter][age]; }

  /// Chance that a tuple which nobody sent is found, 0 to 1: so many unsolicited SYN-ACKs are not
  /// counted, real = counted / (1 - this). To a local address that floods (tfo_heavy_source) it is
  /// larger.
  double false_match() const;

  /// A filter holds more than TFO_BLOOM_SATURATED SYNs a line in some epoch: what is found there
  /// says little.
  bool saturated(tfo_bloom_filter filter) const;

 private:
  std::array<std::array<uint64_t, TFO_BLOOM_REMEMBERED>, TFO_BLOOM_FILTERS> inserts_{};
  uint32_t lines_;
};

/// Chance that a look-up finds its three bits set in a word after `load` inserts a line on average.
double false_match_at(double load);

}  // namespace tfo
