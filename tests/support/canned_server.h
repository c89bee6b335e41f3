// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "loader/dataplane/fd.h"

namespace tfo::test {

/// An HTTP server on loopback that says exactly what a test wants, one request after the other.
class CannedServer {
 public:
  struct Request {
    std::string path;
    std::string head;
    std::string body;  ///< empty if it came in chunks
  };
  struct Reply {
    std::string bytes;    ///< as they are sent
    bool silent = false;  ///< says nothing more until the client goes
    bool close = false;
  };
  using Answer = std::function<Reply(const Request&)>;

  explicit CannedServer(Answer answer);
  CannedServer(const CannedServer&) = delete;
  CannedServer& operator=(const CannedServer&) = delete;
  ~CannedServer();

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  /// All requests so far.
  std::vector<Request> requests() const;

  /// A reply with a length, after which the connection stays.
  static Reply reply(int status, const std::string& body,
                     const std::string& type = "application/json");

 private:
  void run();
  void serve(int fd);
  Reply take(const Request& request);

  Answer answer_;
  Fd listener_;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::atomic<bool> ending_ = false;
  std::vector<std::thread> connections_;
  std::thread thread_;
};

}  // namespace tfo::test
