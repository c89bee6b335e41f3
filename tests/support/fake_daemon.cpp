// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/fake_daemon.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <memory>

namespace tfo::test {

using nlohmann::json;

FakeDaemon::FakeDaemon() {
  char directory[] = "/tmp/tfoctl_daemon_test.XXXXXX";
  directory_ = mkdtemp(directory);
  fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path().c_str());
  EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(listen(fd_, 8), 0);
  thread_ = std::thread([this] { serve(); });
}

FakeDaemon::~FakeDaemon() {
  shutdown(fd_, SHUT_RDWR);
  thread_.join();
  close(fd_);
  unlink(path().c_str());
  rmdir(directory_.c_str());
}

std::string FakeDaemon::good(json result) {
  return json{{"ok", true}, {"result", std::move(result)}}.dump() + "\n";
}

void FakeDaemon::answer(const std::string& command, json result) {
  raw(command, good(std::move(result)));
}

void FakeDaemon::answers(const std::string& command, std::vector<json> results) {
  const auto at = std::make_shared<size_t>(0);
  ask(command, [at, results = std::move(results)](const json&) {
    const json& result = results.at(*at);
    if (*at + 1 < results.size()) ++*at;
    return good(result);
  });
}

void FakeDaemon::refuse(const std::string& command, const std::string& error) {
  raw(command, json{{"ok", false}, {"error", error}}.dump() + "\n");
}

void FakeDaemon::raw(const std::string& command, std::string reply) {
  ask(command, [reply = std::move(reply)](const json&) { return reply; });
}

void FakeDaemon::ask(const std::string& command, Answer answer) {
  const std::lock_guard lock(mutex_);
  replies_[command] = std::move(answer);
}

json FakeDaemon::request(const std::string& command) {
  const std::lock_guard lock(mutex_);
  return requests_[command];
}

size_t FakeDaemon::count(const std::string& command) {
  const std::lock_guard lock(mutex_);
  return counts_[command];
}

void FakeDaemon::serve() {
  for (;;) {
    const int peer = accept(fd_, nullptr, nullptr);
    if (peer < 0) return;
    std::string line;
    char c = 0;
    while (recv(peer, &c, 1, 0) == 1 && c != '\n') line.push_back(c);
    const json request = json::parse(line, nullptr, false);
    const std::string command = request.is_object() ? request.value("command", "") : "";
    Answer answer = [](const json&) {
      return R"({"ok": false, "error": "unknown command"})"
             "\n";
    };
    {
      const std::lock_guard lock(mutex_);
      requests_[command] = request;
      ++counts_[command];
      if (const auto found = replies_.find(command); found != replies_.end()) {
        answer = found->second;
      }
    }
    const std::string reply = answer(request);
    send(peer, reply.data(), reply.size(), MSG_NOSIGNAL);
    close(peer);
  }
}

}  // namespace tfo::test
