// SPDX-License-Identifier: BSD-2-Clause
#include "loader/server/socket_diag.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>

namespace tfo {
namespace {

constexpr timeval kPatience{.tv_sec = 1, .tv_usec = 0};
#ifndef SO_NETNS_COOKIE
constexpr int SO_NETNS_COOKIE = 71;  // include/uapi/asm-generic/socket.h
#endif

struct Request {
  nlmsghdr header;
  inet_diag_req_v2 body;
};

ConfigAddress address_of(const inet_diag_msg& message) {
  ConfigAddress address{};
  const auto* words = reinterpret_cast<const uint8_t*>(message.id.idiag_src);
  if (message.idiag_family == AF_INET6) {
    std::copy_n(words, 16, address.begin());
  } else {
    address[10] = address[11] = 0xff;
    std::copy_n(words, 4, address.begin() + 12);
  }
  return address;
}

/// What one datagram says. True: the list has ended.
Result<bool> take(const char* data, size_t size, std::vector<Listener>& all) {
  const auto* header = reinterpret_cast<const nlmsghdr*>(data);
  auto left = static_cast<uint32_t>(size);
  for (; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
    if (header->nlmsg_type == NLMSG_DONE) return true;
    if (header->nlmsg_type == NLMSG_ERROR) {
      const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(header));
      return fail_errno("sock_diag", error->error);
    }
    if (header->nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg))) continue;
    const auto& message = *static_cast<const inet_diag_msg*>(NLMSG_DATA(header));
    all.push_back({.address = address_of(message),
                   .port = ntohs(message.id.idiag_sport),
                   .backlog = message.idiag_wqueue,
                   .accept_queue = message.idiag_rqueue,
                   .fast_open = {}});
  }
  return false;
}

}  // namespace

Result<SocketDiag> SocketDiag::open() {
  Fd socket(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!socket) return fail_errno("cannot open a sock_diag socket");
  if (setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience)) != 0) {
    return fail_errno("cannot set a sock_diag socket's timeout");
  }
  return SocketDiag(std::move(socket));
}

Result<std::vector<Listener>> SocketDiag::listeners() const {
  std::vector<Listener> all;
  for (const uint8_t family : {AF_INET, AF_INET6}) {
    if (auto asked = ask(family, all); !asked) return tl::unexpected(asked.error());
  }
  return all;
}

Result<> SocketDiag::ask(uint8_t family, std::vector<Listener>& all) const {
  Request request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.sdiag_family = family;
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = 1U << TCP_LISTEN;
  if (send(socket_.get(), &request, sizeof(request), 0) < 0) return fail_errno("sock_diag");
  alignas(nlmsghdr) std::array<char, 32768> reply{};
  while (true) {
    const ssize_t got = recv(socket_.get(), reply.data(), reply.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("sock_diag");
    auto ended = take(reply.data(), static_cast<size_t>(got), all);
    if (!ended) return tl::unexpected(ended.error());
    if (*ended) return {};
  }
}

uint64_t SocketDiag::netns_cookie() const {
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (getsockopt(socket_.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0) return 0;
  return cookie;
}

}  // namespace tfo
