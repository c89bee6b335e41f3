// SPDX-License-Identifier: BSD-2-Clause
#include "loader/capture/pcapng_clock.h"

namespace tfo {
namespace {

using Wide = __int128;

constexpr uint8_t kPowerOfTwo = 0x80;
constexpr unsigned kNanoDigits = 9;
constexpr unsigned kMaxDigits = 19;  // of a power of ten in 64 bits
constexpr int64_t kSecond = 1'000'000'000;

uint64_t power_of_ten(unsigned exponent) {
  uint64_t value = 1;
  while (exponent-- > 0) value *= 10;
  return value;
}

}  // namespace

PcapngClock::PcapngClock(uint8_t resolution, int64_t offset_s) : offset_s_(offset_s) {
  const unsigned exponent = resolution & ~kPowerOfTwo;
  if ((resolution & kPowerOfTwo) != 0) {
    multiplier_ = kSecond;
    shift_ = exponent;
  } else if (exponent <= kNanoDigits) {
    multiplier_ = power_of_ten(kNanoDigits - exponent);
  } else if (exponent - kNanoDigits <= kMaxDigits) {
    multiplier_ = 1;
    divisor_ = power_of_ten(exponent - kNanoDigits);
  }
  // Finer still: 64 bits of it are less than 2 ns, the multiplier stays 0.
}

uint64_t PcapngClock::ns(uint64_t stamp) const {
  const uint64_t units = divisor_ == 1 ? stamp : stamp / divisor_;
  // Below 2^94 each.
  const Wide since_offset = (static_cast<Wide>(units) * multiplier_) >> shift_;
  const Wide time = since_offset + static_cast<Wide>(offset_s_) * kSecond;
  if (time < 0) return 0;
  return time > static_cast<Wide>(UINT64_MAX) ? UINT64_MAX : static_cast<uint64_t>(time);
}

}  // namespace tfo
