// SPDX-License-Identifier: BSD-2-Clause
#include "loader/watch.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <ctime>
#include <limits>

namespace tfo {

Result<std::unique_ptr<LinkWatch>> LinkWatch::open(EventLoop& loop, std::function<void()> changed) {
  std::unique_ptr<LinkWatch> made(new LinkWatch());
  made->socket_ = Fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!made->socket_) return fail_errno("rtnetlink");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (bind(made->socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return fail_errno("rtnetlink: cannot listen for events of links and addresses");
  }
  auto source = loop.io(made->socket_.get(), EPOLLIN,
                        [self = made.get(), call = std::move(changed)](uint32_t) {
                          self->drain();
                          call();
                        });
  if (!source) return tl::unexpected(source.error());
  made->source_ = std::move(*source);
  return made;
}

void LinkWatch::drain() const {
  char buffer[8192];
  // What happened is read from the kernel anew, so the messages themselves do not matter; ENOBUFS
  // (some were lost) is read away like one of them.
  while (recv(socket_.get(), buffer, sizeof(buffer), 0) > 0 || errno == ENOBUFS) {
  }
}

Result<std::unique_ptr<ClockWatch>> ClockWatch::open(EventLoop& loop, const Clock& clock,
                                                     std::function<void()> stepped) {
  std::unique_ptr<ClockWatch> made(new ClockWatch());
  made->timer_ = Fd(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!made->timer_ || !made->arm()) return fail_errno("timerfd");
  auto source = loop.io(made->timer_.get(), EPOLLIN, [self = made.get(), call = stepped](uint32_t) {
    uint64_t expirations = 0;
    [[maybe_unused]] const ssize_t n = read(self->timer_.get(), &expirations, sizeof(expirations));
    self->arm();
    call();
  });
  if (!source) return tl::unexpected(source.error());
  made->source_ = std::move(*source);
  if (clock.step_fd() < 0) return made;
  auto own = loop.io(clock.step_fd(), EPOLLIN,
                     [fd = clock.step_fd(), call = std::move(stepped)](uint32_t) {
                       char told[4096];
                       while (read(fd, told, sizeof(told)) > 0) {
                       }
                       call();
                     });
  if (!own) return tl::unexpected(own.error());
  made->own_ = std::move(*own);
  return made;
}

bool ClockWatch::arm() const {
  itimerspec never{};
  never.it_value.tv_sec = std::numeric_limits<time_t>::max();
  return timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
                         nullptr) == 0;
}

}  // namespace tfo
