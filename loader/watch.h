// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>

#include "loader/dataplane/fd.h"
#include "loader/event_loop.h"
#include "loader/keys/clock.h"
#include "loader/result.h"

namespace tfo {

/// Calls back after interfaces or addresses of our network namespace came, went or changed
/// (rtnetlink(7)). One call may stand for many events, and lost ones count too.
class LinkWatch {
 public:
  static Result<std::unique_ptr<LinkWatch>> open(EventLoop& loop, std::function<void()> changed);

 private:
  LinkWatch() = default;
  void drain() const;
  Fd socket_;
  EventLoop::Source source_;
};

/// Calls back after the wall clock was set, and after a suspend (TFD_TIMER_CANCEL_ON_SET,
/// timerfd_create(2); timerfd_resume() in fs/timerfd.c), or when the clock itself says so.
class ClockWatch {
 public:
  static Result<std::unique_ptr<ClockWatch>> open(EventLoop& loop, const Clock& clock,
                                                  std::function<void()> stepped);

 private:
  ClockWatch() = default;
  bool arm() const;
  Fd timer_;
  EventLoop::Source source_, own_;
};

}  // namespace tfo
