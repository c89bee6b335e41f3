// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "loader/alert/rule.h"
#include "loader/alert/sink.h"
#include "loader/dataplane/fd.h"
#include "loader/event_loop.h"
#include "loader/result.h"

namespace tfo::alert {

/// Runs a program for each alert that is raised, changes its severity or is cleared: without a
/// shell, with change_json() and a newline on its standard input, one at a time and in order. It
/// has no capability and can gain none, no descriptor but 0, 1 (/dev/null) and 2 (tfod's own), a
/// session of its own, "/" as its directory, and PATH, LANG and what says which alert it is about
/// as its environment (TFO_WHAT, TFO_ALERT, TFO_SEVERITY). One that takes too long is killed with
/// what it started.
class CommandHook : public Sink {
 public:
  static constexpr size_t kMostQueued = 64;  // the oldest goes; that is logged

  static Result<std::unique_ptr<CommandHook>> create(EventLoop& loop, CommandConfig config);
  /// Kills what runs.
  ~CommandHook() override;
  CommandHook(const CommandHook&) = delete;
  CommandHook& operator=(const CommandHook&) = delete;

  void take(const Change& change) override;

  bool busy() const { return pid_ > 0; }
  uint64_t runs() const { return runs_; }          // that ended with 0
  uint64_t failures() const { return failures_; }  // any other end, not started, or left out

 private:
  CommandHook(EventLoop& loop, CommandConfig config);
  void start_next();
  Result<> start(const Change& change);
  void ended();
  void kill_it() const;
  void kill_and_wait();
  void failed(const std::string& why);

  EventLoop& loop_;
  CommandConfig config_;
  std::deque<Change> queue_;
  pid_t pid_ = 0;
  Fd process_;
  bool late_ = false;
  uint64_t runs_ = 0;
  uint64_t failures_ = 0;
  EventLoop::Source end_, timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what is posted
};

/// Is it a file that CommandHook could run here: by this process' user without a capability?
Result<> check_command(const std::string& path);

}  // namespace tfo::alert
