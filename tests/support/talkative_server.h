// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>

#include "loader/dataplane/fd.h"

namespace tfo::test {

/// A server of small files: whatever comes is answered with one segment, and closed. Takes data in
/// a SYN where its namespace allows that.
class TalkativeServer {
 public:
  static constexpr size_t kResponse = 1200;  // bytes

  /// A listener of IPv6 and IPv4 in this thread's network namespace; `queue`: handshakes that it
  /// holds, as far as net.core.somaxconn allows. Aborts if the port is taken.
  TalkativeServer(uint16_t port, int queue);
  TalkativeServer(const TalkativeServer&) = delete;
  TalkativeServer& operator=(const TalkativeServer&) = delete;
  ~TalkativeServer();

 private:
  void serve() const;

  Fd listener_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

/// A listener of IPv6 and IPv4 in this thread's network namespace. Aborts if the port is taken.
Fd listen_at(uint16_t port, int backlog);

}  // namespace tfo::test
