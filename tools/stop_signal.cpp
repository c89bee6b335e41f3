// SPDX-License-Identifier: BSD-2-Clause
#include "tools/stop_signal.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>

namespace tfo {

StopSignal::StopSignal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, &before_);
  fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

StopSignal::~StopSignal() {
  if (fd_ >= 0) close(fd_);
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

bool StopSignal::wait_until(std::chrono::steady_clock::time_point when) {
  using std::chrono::milliseconds;
  while (!stopped_) {
    const auto left =
        std::chrono::ceil<milliseconds>(when - std::chrono::steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd item{fd_, POLLIN, 0};
    // Taken from the queue, so that it does not end the process once it is no longer blocked.
    signalfd_siginfo taken{};
    if (poll(&item, 1, static_cast<int>(std::min<long>(left, 1000))) > 0) {
      stopped_ = read(fd_, &taken, sizeof(taken)) == sizeof(taken);
    }
  }
  return true;
}

}  // namespace tfo
