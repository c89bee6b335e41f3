// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/canned_server.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdlib>

namespace tfo::test {
namespace {

constexpr int kTick = 20;  // ms between two looks whether the test has ended

std::string header(const std::string& head, const std::string& name) {
  const size_t at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const size_t begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

}  // namespace

CannedServer::CannedServer(Answer answer)
    : answer_(std::move(answer)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_.get(), plain, size) == 0 && listen(listener_.get(), 16) == 0 &&
      getsockname(listener_.get(), plain, &size) == 0) {
    port_ = ntohs(address.sin_port);
  }
  thread_ = std::thread([this] { run(); });
}

CannedServer::~CannedServer() {
  ending_ = true;
  thread_.join();
  for (std::thread& connection : connections_) connection.join();
}

std::vector<CannedServer::Request> CannedServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

CannedServer::Reply CannedServer::reply(int status, const std::string& body,
                                        const std::string& type) {
  return {"HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: " + type +
          "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body};
}

void CannedServer::run() {
  while (!ending_) {
    pollfd ready{listener_.get(), POLLIN, 0};
    if (poll(&ready, 1, kTick) <= 0) continue;
    const int fd = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) connections_.emplace_back([this, fd] { serve(fd); });
  }
}

CannedServer::Reply CannedServer::take(const Request& request) {
  const std::lock_guard lock(mutex_);
  requests_.push_back(request);
  return answer_(request);
}

void CannedServer::serve(int fd) {
  const Fd owned(fd);
  std::string text;
  bool silent = false;
  while (!ending_) {
    pollfd ready{fd, POLLIN, 0};
    if (poll(&ready, 1, kTick) <= 0) continue;
    char piece[4096];
    const ssize_t got = recv(fd, piece, sizeof(piece), 0);
    if (got <= 0) return;
    if (silent) continue;
    text.append(piece, static_cast<size_t>(got));
    const size_t end = text.find("\r\n\r\n");
    if (end == std::string::npos) continue;
    Request request;
    request.head = text.substr(0, end + 2);
    request.path = request.head.substr(5, request.head.find(' ', 5) - 5);
    const size_t length = std::strtoul(header(request.head, "Content-Length").c_str(), nullptr, 10);
    if (text.size() < end + 4 + length) continue;
    request.body = text.substr(end + 4, length);
    text.clear();
    const Reply reply = take(request);
    send(fd, reply.bytes.data(), reply.bytes.size(), MSG_NOSIGNAL);
    if (reply.close) return;
    silent = reply.silent;
  }
}

}  // namespace tfo::test
