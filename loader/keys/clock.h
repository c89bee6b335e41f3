// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>

namespace tfo {

/// One instant on both clocks. The wall clock may be set at any time; the boot clock only counts
/// (CLOCK_BOOTTIME, suspend included) and is comparable as long as boot_id is the same.
struct Moment {
  int64_t unix_s = 0;
  int64_t boot_s = 0;
  std::string boot_id;
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Moment now() const = 0;
};

/// CLOCK_REALTIME, CLOCK_BOOTTIME and /proc/sys/kernel/random/boot_id.
class SystemClock : public Clock {
 public:
  SystemClock();
  Moment now() const override;

 private:
  std::string boot_id_;
};

}  // namespace tfo
