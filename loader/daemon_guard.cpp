// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <sys/epoll.h>

#include "loader/daemon.h"

namespace tfo {

void Daemon::review_guard() {
  if (!dataplane_) return;
  Dataplane& plane = *dataplane_;
  watch_guard();
  const auto done = guard_.tick(
      plane, config_, [this](const std::string& pool) { return namespaces_.overflow(pool); });
  conditions_.set("dataplane_failed", "guard", !done, done ? "" : done.error().message);
}

/// Larger maps have another ring of events.
void Daemon::watch_guard() {
  if (!dataplane_) return;
  const auto& guard = dataplane_->guard();
  if (guard_serial_ == guard.serial()) return;
  guard_events_ = EventLoop::Source();
  guard_fd_ = Fd(fcntl(guard.events_fd(), F_DUPFD_CLOEXEC, 3));
  auto events = loop_->io(guard_fd_.get(), EPOLLIN, [this](uint32_t) {
    if (!dataplane_ || dataplane_->guard().serial() != guard_serial_) return;
    const auto read = guard_.read_events(*dataplane_);
    conditions_.set("dataplane_failed", "guard", !read, read ? "" : read.error().message);
  });
  conditions_.set("dataplane_failed", "guard events", !events,
                  events ? "" : events.error().message);
  if (!events) return;
  guard_events_ = std::move(*events);
  guard_serial_ = guard.serial();
}

Result<nlohmann::json> Daemon::guard_command(const std::string& name,
                                             const nlohmann::json& request) {
  if (!dataplane_) return fail("no XDP here: the configuration has no \"interfaces\"");
  return guard_.command(name, request, *dataplane_, config_);
}

}  // namespace tfo
