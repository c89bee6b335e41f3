// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/clock.h"

#include <sys/timex.h>

#include <ctime>
#include <fstream>

namespace tfo {
namespace {

constexpr int64_t kSecond = 1'000'000'000;  // ns

timespec read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now;
}

int64_t nanoseconds(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }

bool is_synchronised() {
  timex state{};  // modes 0: only read, for which no privilege is needed
  const int answer = adjtimex(&state);
  return answer >= 0 && answer != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

}  // namespace

int64_t Clock::boot_offset_ns() const {
  const Moment moment = now();
  return (moment.unix_s - moment.boot_s) * kSecond + moment.unix_ns;
}

SystemClock::SystemClock() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::getline(file, boot_id_);
}

Moment SystemClock::now() const {
  const timespec wall = read_clock(CLOCK_REALTIME);
  return {.unix_s = wall.tv_sec,
          .boot_s = read_clock(CLOCK_BOOTTIME).tv_sec,
          .boot_id = boot_id_,
          .synchronised = is_synchronised(),
          .unix_ns = static_cast<int32_t>(wall.tv_nsec)};
}

int64_t SystemClock::boot_offset_ns() const {
  return nanoseconds(read_clock(CLOCK_REALTIME)) - nanoseconds(read_clock(CLOCK_BOOTTIME));
}

}  // namespace tfo
