// SPDX-License-Identifier: BSD-2-Clause
#include "tools/replay_signals.h"

#include <unistd.h>

#include <atomic>
#include <climits>

namespace tfo {

namespace {

std::atomic<bool> is_interrupted = false;
char unfinished_file[PATH_MAX];

void set_handler(int signal, void (*handler)(int), struct sigaction* before) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
  sigaction(signal, &action, before);
}

/// The signal has its default effect again, SA_RESETHAND.
void remove_and_die(int signal) {
  if (unfinished_file[0] != '\0') ::unlink(unfinished_file);
  raise(signal);
}

void interrupt(int signal) {
  is_interrupted = true;
  set_handler(signal, remove_and_die, nullptr);
}

}  // namespace

ReplaySignals::ReplaySignals(const std::string& unfinished) {
  is_interrupted = false;
  unfinished_file[unfinished.copy(unfinished_file, sizeof(unfinished_file) - 1)] = '\0';
  for (size_t i = 0; i < kSignals.size(); i++) {
    set_handler(kSignals[i], kSignals[i] == SIGINT ? interrupt : remove_and_die, &before_[i]);
    // What somebody had ignored, nohup for instance, stays so.
    const bool ignored = before_[i].sa_handler == SIG_IGN;
    if (ignored && kSignals[i] != SIGINT) sigaction(kSignals[i], &before_[i], nullptr);
  }
}

ReplaySignals::~ReplaySignals() {
  for (size_t i = 0; i < kSignals.size(); i++) sigaction(kSignals[i], &before_[i], nullptr);
}

bool ReplaySignals::interrupted() const { return is_interrupted; }

}  // namespace tfo
