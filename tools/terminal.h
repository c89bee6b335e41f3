// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "loader/result.h"
#include "tools/top_frame.h"

namespace tfo {

/// The terminal of standard input and output, taken over as long as this lives: its other screen,
/// no echo, no cursor, keys as they are pressed. However the process ends, short of SIGKILL, it is
/// left as it was. One at a time. ECMA-48 and the two private modes of xterm that every terminal
/// has today (1049, 25): no terminfo, hence no library.
class Terminal {
 public:
  /// An error where there is none, or one that cannot do it (TERM=dumb).
  static Result<> usable();

  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// What it shows now; 80 x 24 if it does not know.
  static TopSize size();

  /// Puts these lines there; false: it is gone.
  bool draw(const std::vector<Line>& lines) const;

  /// Descriptors to wait for: signals that are to be handled (take_signal()), and keys.
  int signals() const { return signals_; }
  static int keys() { return 0; }

  /// What happened: kResized means to draw anew, kStop to end. Ctrl-Z is done with inside.
  enum class Event { kNone, kResized, kStop };
  Event take_signal();

  /// The keys that were pressed, by name; nothing: standard input has ended.
  std::optional<std::vector<std::string>> take_keys();

 private:
  void enter() const;
  static void leave();
  void stop_until_continued() const;

  int signals_ = -1;
  bool colours_ = true;
  sigset_t before_{};
  std::string pending_;  // of an escape sequence that is not whole
};

/// Names of the keys in what a terminal sent; what is not whole stays in `bytes`.
std::vector<std::string> keys_of(std::string& bytes);

}  // namespace tfo
