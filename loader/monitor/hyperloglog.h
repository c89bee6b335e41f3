// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "bpf/tfo_abi.h"

namespace tfo {

/// Distinct sources out of the registers that the program writes (bpf/hll.h). An epoch's estimate
/// has a standard error of 1.6 %.
class Distinct {
 public:
  using Registers = std::span<uint8_t, TFO_HLL_REGISTERS>;
  static constexpr uint32_t kHalf = 5;  // epochs

  /// Takes in what the registers hold of the epoch that is running; as often as there is time, at
  /// least once an epoch. Frees registers whose stamp would soon come again: the program may write
  /// them meanwhile. `registers` of a first read may be of any age, and are then all cleared.
  void read(Registers registers, uint32_t epoch);

  /// Sources in the epoch that is running or in the one before, whichever are more.
  double recent() const;
  /// Sources in the last 6 to 11 minutes (kHalf epochs that are over, and those that run): of what
  /// comes so slowly that an epoch has hardly any.
  double lasting() const;
  /// All that read() saw since the beginning, or since restart().
  double total() const;
  void restart();

 private:
  using Ranks = std::array<uint8_t, TFO_HLL_REGISTERS>;
  Ranks ranks_{};  // of total()
  Ranks newer_{};  // of lasting()
  Ranks older_{};
  bool any_newer_ = false;
  bool any_older_ = false;
  double now_ = 0;
  double before_ = 0;
  uint32_t epoch_ = 0;
  bool begun_ = false;
};

/// Distinct elements of a set of registers' ranks: the estimator of Ertl 2017 ("New cardinality
/// estimation algorithms for HyperLogLog sketches", section 4), good at every size.
double hll_estimate(std::span<const uint8_t, TFO_HLL_REGISTERS> ranks);

}  // namespace tfo
