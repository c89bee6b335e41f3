// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "loader/config.h"
#include "loader/result.h"

namespace httplib {
class Server;
}

namespace tfo {

/// Serves GET of its routes in threads of its own; everything else is 404. Only reads, and knows
/// nothing but the texts that it is given.
class HttpServer {
 public:
  /// Makes the page, or nothing if it cannot in time (the client gets 503). Called in a thread of
  /// the server, several at once.
  using Page = std::function<std::optional<std::string>()>;

  struct Route {
    std::string path;  // as a client asks for it: "/metrics"
    const char* type;  // the Content-Type
    Page page;
  };

  /// Binds at once, so that a busy port is an error here, and before privileges are dropped (ports
  /// below 1024). Answers nothing before start().
  static Result<std::unique_ptr<HttpServer>> open(const HttpConfig& config);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Starts the threads; they inherit the capabilities and the signal mask of the caller.
  void start(const std::vector<Route>& routes);

  /// "127.0.0.1:9413", with the port really bound.
  std::string address() const;

  /// Held shared while a page is made, closed for good by the destructor: no page is asked for
  /// after it.
  struct Gate {
    std::shared_mutex mutex;
    bool closed = false;
  };

 private:
  HttpServer();
  std::shared_ptr<httplib::Server> server_;
  std::shared_ptr<Gate> gate_;
  std::future<void> ended_;
  std::string host_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace tfo
