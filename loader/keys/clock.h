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
  /// Does somebody (NTP, PTP) keep the wall clock right? Until then it may be anything.
  bool synchronised = true;
  int32_t unix_ns = 0;  ///< past unix_s, 0 to 999,999,999
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Moment now() const = 0;

  /// The wall clock less the boot clock that BPF programs read, in ns.
  virtual int64_t boot_offset_ns() const;

  /// Becomes readable when this clock was set, for clocks whose steps the kernel does not know of;
  /// to be read until it is empty. -1: the kernel tells (TFD_TIMER_CANCEL_ON_SET).
  virtual int step_fd() const { return -1; }
};

/// CLOCK_REALTIME, CLOCK_BOOTTIME and /proc/sys/kernel/random/boot_id. Synchronised is what
/// adjtimex(2) says: neither TIME_ERROR nor STA_UNSYNC. Setting the clock by hand sets STA_UNSYNC
/// (ntp_clear() in kernel/time/ntp.c).
class SystemClock : public Clock {
 public:
  SystemClock();
  Moment now() const override;
  int64_t boot_offset_ns() const override;

 private:
  std::string boot_id_;
};

}  // namespace tfo
