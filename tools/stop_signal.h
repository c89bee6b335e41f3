// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <signal.h>

#include <chrono>

namespace tfo {

/// SIGINT and SIGTERM as something to wait for, as long as this lives: Ctrl-C ends a command that
/// goes round between two rounds. One at a time.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// Waits until then; true if it was told to stop, now or before.
  bool wait_until(std::chrono::steady_clock::time_point when);

 private:
  int fd_ = -1;
  bool stopped_ = false;
  sigset_t before_{};
};

}  // namespace tfo
