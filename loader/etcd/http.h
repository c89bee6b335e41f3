// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "loader/etcd/config.h"
#include "loader/etcd/fault.h"
#include "loader/event_loop.h"
#include "loader/keys/secret.h"

namespace tfo::etcd {

/// One POST. The body and the token are wiped when the transfer is over.
struct HttpRequest {
  std::string url;
  Secret body = {};
  std::shared_ptr<const Secret> token = {};  ///< for "Authorization:"; null: none
  std::chrono::milliseconds timeout{0};      ///< of the whole; 0: no end (a stream)
  bool stream = false;                       ///< more body may follow (HttpTransport::send)
};

/// HTTP/1.1 within the event loop: libcurl's multi interface with its sockets and its timer as
/// sources of the loop. No thread: the caller's callbacks run where everything else of the daemon
/// runs, and nothing waits for the network. (Names are resolved by a thread of libcurl's own.)
///
/// HTTP/1.1 although etcd speaks HTTP/2 over TLS: each exchange has a connection of its own at that
/// time, so that one which hangs hurts no other and goes when it is given up.
class HttpTransport {
 public:
  using Id = uint64_t;
  struct Handlers {
    /// Bytes of the body, for streams only; else it is collected.
    std::function<void(std::string_view)> data;
    /// Once, at the end. A fault has libcurl's words; the reply's body is empty for streams.
    std::function<void(tl::expected<HttpReply, BrokenTransfer>)> done;
  };

  static Result<std::unique_ptr<HttpTransport>> create(EventLoop& loop, const Config& config);
  /// No handler is called any more.
  ~HttpTransport();
  HttpTransport(const HttpTransport&) = delete;
  HttpTransport& operator=(const HttpTransport&) = delete;

  /// Handlers are called later, never from here. A body is never sent twice: libcurl would repeat a
  /// POST when a connection that it uses again turns out to be dead, and a write that was done is
  /// not told apart from one that was not.
  Id start(HttpRequest request, Handlers handlers);

  /// More body for a stream.
  void send(Id id, std::string_view text);

  /// Ends it; no handler is called. May be called by a handler, for any transfer.
  void cancel(Id id);

 private:
  class Engine;
  explicit HttpTransport(std::shared_ptr<Engine> engine);
  std::shared_ptr<Engine> engine_;
};

}  // namespace tfo::etcd
