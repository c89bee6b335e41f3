// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>

namespace tfo {

/// Turns the stamps of one pcapng interface into unix nanoseconds.
class PcapngClock {
 public:
  /// Microseconds, as pcapng has it without options.
  PcapngClock() : PcapngClock(6, 0) {}
  /// `resolution` as in if_tsresol: the low seven bits are the exponent of 10^-n seconds, or of
  /// 2^-n if the top bit is set. `offset_s`: if_tsoffset, seconds.
  PcapngClock(uint8_t resolution, int64_t offset_s);

  /// Rounded down; what lies outside the range of the result becomes its nearest end.
  uint64_t ns(uint64_t stamp) const;

 private:
  uint64_t multiplier_ = 0;
  uint64_t divisor_ = 1;
  unsigned shift_ = 0;
  int64_t offset_s_;
};

}  // namespace tfo
