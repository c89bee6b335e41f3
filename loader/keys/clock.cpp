// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/clock.h"

#include <ctime>
#include <fstream>

namespace tfo {
namespace {

int64_t seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec;
}

}  // namespace

SystemClock::SystemClock() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::getline(file, boot_id_);
}

Moment SystemClock::now() const {
  return {
      .unix_s = seconds(CLOCK_REALTIME), .boot_s = seconds(CLOCK_BOOTTIME), .boot_id = boot_id_};
}

}  // namespace tfo
