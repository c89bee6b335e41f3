// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "loader/config.h"
#include "loader/observe/http_tls.h"
#include "loader/result.h"

namespace tfo {

/// Serves GET of its routes in threads of its own; everything else is 404. Only reads, and knows
/// nothing but the texts that it is given.
class HttpServer {
 public:
  /// What a client gets.
  struct Content {
    Content(std::string body, int code = 200) : text(std::move(body)), status(code) {}  // NOLINT
    std::string text;
    int status;
  };

  /// Makes the page, or nothing if it cannot in time (the client gets 503). Called in a thread of
  /// the server, several at once.
  using Page = std::function<std::optional<Content>()>;

  struct Route {
    std::string path;  // as a client asks for it: "/metrics"
    const char* type;  // the Content-Type
    Page page;
    std::string_view gzip = {};  // the same text compressed, for clients that take it; lives on
    bool browser = false;        // for browsers: see observe/http_browser.h
  };

  /// Binds at once, so that a busy port is an error here, and before privileges are dropped (ports
  /// below 1024). A unix socket has mode 0660; one that nobody serves any more is replaced. Answers
  /// nothing before start().
  static Result<std::unique_ptr<HttpServer>> open(const HttpConfig& config);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Starts the threads; they inherit the capabilities and the signal mask of the caller.
  void start(const std::vector<Route>& routes);

  /// New connections are served with these from now on; without "tls" they are not used.
  void use(SslContext context);

  /// "127.0.0.1:9413", with the port really bound, or "unix:/path".
  std::string address() const;
  /// "https://127.0.0.1:9413", or address() of a unix socket.
  std::string url() const;

  /// Does it listen where others than this host's users may come from, and let everybody in?
  bool is_open_to_others() const;

  /// Held shared while a page is made, closed for good by the destructor: no page is asked for
  /// after it.
  struct Gate {
    std::shared_mutex mutex;
    bool closed = false;
  };

 private:
  /// Shared with the threads, which may outlive us.
  struct Served;
  explicit HttpServer(const HttpConfig& config);
  Result<> bind();
  Result<> bind_unix();
  std::shared_ptr<Served> served_;
  std::shared_ptr<Gate> gate_;
  std::future<void> ended_;
  HttpConfig config_;
  std::optional<std::pair<uint64_t, uint64_t>> socket_;  // device and inode of our unix socket
  std::thread thread_;
};

}  // namespace tfo
