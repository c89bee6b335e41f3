// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <csignal>
#include <string>

namespace tfo {

/// What signals do to a replay, as long as this lives; one at a time. The first SIGINT only sets
/// interrupted(). SIGHUP, SIGTERM, SIGPIPE (the reader of standard output is gone) and a second
/// SIGINT end the process as ever, but remove its unfinished file first.
class ReplaySignals {
 public:
  /// `unfinished`: path of that file; empty: there is none.
  explicit ReplaySignals(const std::string& unfinished);
  ~ReplaySignals();
  ReplaySignals(const ReplaySignals&) = delete;
  ReplaySignals& operator=(const ReplaySignals&) = delete;

  bool interrupted() const;

 private:
  static constexpr std::array kSignals = {SIGINT, SIGHUP, SIGTERM, SIGPIPE};
  std::array<struct sigaction, kSignals.size()> before_{};
};

}  // namespace tfo
