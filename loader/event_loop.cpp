// SPDX-License-Identifier: BSD-2-Clause
#include "loader/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <chrono>
#include <exception>

#include "loader/log.h"

namespace tfo {

namespace {

/// Nothing that is thrown may cross sd-event's C frames, nor end the daemon: the work of one event
/// is lost, and said.
template <class Call, class... Args>
int guarded(const Call& call, Args... args) {
  try {
    call(args...);
  } catch (const std::exception& error) {
    log_error("an event was not handled: {}", error.what());
  }
  return 0;
}

}  // namespace

struct EventLoop::Source::State {
  sd_event_source* source = nullptr;
  Callback callback;
  IoCallback io;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { sd_event_source_disable_unref(source); }

  // A callback may destroy the source that it belongs to, hence the copies.
  static int on_io(sd_event_source*, int, uint32_t events, void* self) {
    const IoCallback call = static_cast<State*>(self)->io;
    return guarded(call, events);
  }
  static int on_time(sd_event_source*, uint64_t, void* self) {
    const Callback call = static_cast<State*>(self)->callback;
    return guarded(call);
  }
  static int on_signal(sd_event_source*, const signalfd_siginfo*, void* self) {
    const Callback call = static_cast<State*>(self)->callback;
    return guarded(call);
  }
};

EventLoop::Source::Source() = default;
EventLoop::Source::~Source() = default;
EventLoop::Source::Source(Source&&) noexcept = default;
EventLoop::Source& EventLoop::Source::operator=(Source&&) noexcept = default;

void EventLoop::Source::watch(uint32_t events) {
  sd_event_source_set_io_events(state_->source, events);
}

void EventLoop::Source::start(std::chrono::microseconds delay) {
  sd_event_source_set_time_relative(state_->source, static_cast<uint64_t>(delay.count()));
  sd_event_source_set_enabled(state_->source, SD_EVENT_ONESHOT);
}

void EventLoop::Source::stop() { sd_event_source_set_enabled(state_->source, SD_EVENT_OFF); }

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  sd_event* event = nullptr;
  const int error = sd_event_new(&event);
  if (error < 0) return fail_errno("event loop", error);
  std::unique_ptr<EventLoop> loop(new EventLoop(event));
  if (auto opened = loop->open_post_box(); !opened) return tl::unexpected(opened.error());
  return loop;
}

EventLoop::~EventLoop() {
  wakeup_source_ = Source();
  sd_event_unref(event_);
}

Result<> EventLoop::open_post_box() {
  wakeup_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wakeup_) return fail_errno("eventfd");
  auto source = io(wakeup_.get(), EPOLLIN, [this](uint32_t) { deliver(); });
  if (!source) return tl::unexpected(source.error());
  wakeup_source_ = std::move(*source);
  return {};
}

Result<EventLoop::Source> EventLoop::io(int fd, uint32_t events, IoCallback callback) {
  Source made;
  made.state_ = std::make_unique<Source::State>();
  made.state_->io = std::move(callback);
  const int error = sd_event_add_io(event_, &made.state_->source, fd, events, Source::State::on_io,
                                    made.state_.get());
  if (error < 0) return fail_errno("event loop: descriptor", error);
  return made;
}

Result<EventLoop::Source> EventLoop::timer(Callback callback) {
  constexpr uint64_t kAccuracy = 10'000;  // us
  Source made;
  made.state_ = std::make_unique<Source::State>();
  made.state_->callback = std::move(callback);
  const int error =
      sd_event_add_time_relative(event_, &made.state_->source, CLOCK_BOOTTIME, 0, kAccuracy,
                                 Source::State::on_time, made.state_.get());
  if (error < 0) return fail_errno("event loop: timer", error);
  made.stop();
  return made;
}

Result<EventLoop::Source> EventLoop::signal(int number, Callback callback) {
  Source made;
  made.state_ = std::make_unique<Source::State>();
  made.state_->callback = std::move(callback);
  const int error = sd_event_add_signal(event_, &made.state_->source, number,
                                        Source::State::on_signal, made.state_.get());
  if (error < 0) return fail_errno("event loop: signal", error);
  return made;
}

void EventLoop::post(Callback callback) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    posted_.push_back(std::move(callback));
  }
  eventfd_write(wakeup_.get(), 1);
}

void EventLoop::close() {
  std::vector<Callback> dropped;
  const std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(posted_);
}

void EventLoop::deliver() {
  eventfd_t count = 0;
  eventfd_read(wakeup_.get(), &count);
  std::vector<Callback> work;
  {
    const std::lock_guard lock(mutex_);
    work.swap(posted_);
  }
  for (const Callback& callback : work) callback();
}

void EventLoop::enable_watchdog() { sd_event_set_watchdog(event_, 1); }

int EventLoop::run() { return sd_event_loop(event_); }

void EventLoop::quit(int code) { sd_event_exit(event_, code); }

}  // namespace tfo
