// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/talkative_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace tfo::test {

TalkativeServer::TalkativeServer(uint16_t port, int queue) : listener_(listen_at(port, queue)) {
  setsockopt(listener_.get(), IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue));
  const timeval patience{.tv_sec = 0, .tv_usec = 50'000};
  setsockopt(listener_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  thread_ = std::thread([this] {
    while (!stop_) serve();
  });
}

TalkativeServer::~TalkativeServer() {
  stop_ = true;
  thread_.join();
}

void TalkativeServer::serve() const {
  const Fd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!client) return;
  std::array<char, 2048> request{};
  if (recv(client.get(), request.data(), request.size(), 0) <= 0) return;
  const std::vector<char> response(kResponse, 'x');
  (void)send(client.get(), response.data(), response.size(), MSG_NOSIGNAL);
}

Fd listen_at(uint16_t port, int backlog) {
  Fd listener(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(port);
  if (!listener || bind(listener.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)) != 0 ||
      listen(listener.get(), backlog) != 0) {
    std::perror("a listener");
    std::abort();
  }
  return listener;
}

}  // namespace tfo::test
