// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <span>
#include <vector>

#include "loader/dataplane/fd.h"
#include "loader/result.h"
#include "loader/server/listeners.h"

namespace tfo {

/// sock_diag(7): the listeners of one network namespace as any process may ask for them. Backlog
/// and accept queue only; nothing is told of Fast Open (tcp_get_info() in net/ipv4/tcp.c stops
/// after these two for a listener).
class SocketDiag {
 public:
  /// In the namespace of the calling thread; it keeps asking that one, whoever calls later.
  static Result<SocketDiag> open();

  /// Listener::fast_open is empty in all of them. Takes at most a second.
  Result<std::vector<Listener>> listeners() const;

  /// The kernel's name of the namespace (SO_NETNS_COOKIE): never used twice while it runs, unlike
  /// the inode of its file. 0: this kernel has none (before 5.14).
  uint64_t netns_cookie() const;

 private:
  explicit SocketDiag(Fd socket) : socket_(std::move(socket)) {}
  Result<> ask(uint8_t family, std::vector<Listener>& all) const;
  Fd socket_;
};

}  // namespace tfo
