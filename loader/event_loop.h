// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <systemd/sd-event.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "loader/dataplane/fd.h"
#include "loader/result.h"

namespace tfo {

/// sd-event with C++ callbacks. Everything but post() belongs to the one thread that runs it.
class EventLoop {
 public:
  using Callback = std::function<void()>;
  using IoCallback = std::function<void(uint32_t events)>;

  /// Something that the loop watches; forgotten when it goes. Must not outlive the loop.
  class Source {
   public:
    Source();
    ~Source();
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    Source(Source&&) noexcept;
    Source& operator=(Source&&) noexcept;

    /// EPOLL* events of an io source.
    void watch(uint32_t events);
    /// (Re)starts a timer: once, this long from now (boot clock: time asleep counts).
    void start(std::chrono::microseconds delay);
    void stop();

   private:
    friend class EventLoop;
    struct State;
    std::unique_ptr<State> state_;
  };

  static Result<std::unique_ptr<EventLoop>> create();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  Result<Source> io(int fd, uint32_t events, IoCallback callback);
  /// Stopped at first: see Source::start.
  Result<Source> timer(Callback callback);
  /// The signal must be blocked in every thread.
  Result<Source> signal(int number, Callback callback);

  /// Runs `callback` in the loop's thread soon. May be called from any thread. Never run after
  /// close(), only destroyed.
  void post(Callback callback);
  void close();

  /// Answers systemd's watchdog if the unit has one.
  void enable_watchdog();

  /// Runs until quit(). Returns quit's code.
  int run();
  void quit(int code);

  sd_event* handle() { return event_; }

 private:
  explicit EventLoop(sd_event* event) : event_(event) {}
  Result<> open_post_box();
  void deliver();

  sd_event* event_;
  Fd wakeup_;
  Source wakeup_source_;
  std::mutex mutex_;
  std::vector<Callback> posted_;
  bool closed_ = false;
};

}  // namespace tfo
