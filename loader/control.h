// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "loader/dataplane/fd.h"
#include "loader/event_loop.h"
#include "loader/result.h"

namespace tfo {

/// Cuts a byte stream into lines of at most `limit` bytes (newline not counted). Bytes that were
/// consumed are wiped: a request may hold keys. Take every whole line before the next append().
class LineBuffer {
 public:
  static constexpr size_t kChunk = 4096;  // most that append() takes at once
  explicit LineBuffer(size_t limit) : limit_(limit) {}
  ~LineBuffer();
  LineBuffer(const LineBuffer&) = delete;
  LineBuffer& operator=(const LineBuffer&) = delete;

  /// False: the line became too long; the stream is unusable from here on.
  bool append(const char* data, size_t size);
  /// The next whole line, without its newline.
  std::optional<std::string> take();

 private:
  size_t limit_;
  std::string bytes_;
};

struct ControlLimits {
  size_t clients = 16;
  size_t line_bytes = 64 * 1024;
  /// For a whole request to arrive, and for its reply to be taken.
  std::chrono::milliseconds patience{10'000};
};

/// The unix socket that tfoctl talks to: one JSON object per line, {"command": NAME, ...}, answered
/// by one line, {"ok": true, "result": ...} or {"ok": false, "error": TEXT}. Root and the daemon's
/// own user may talk (SO_PEERCRED); a client that stalls is cut off and never holds up the loop.
class ControlServer {
 public:
  /// May change the request and should wipe what is secret in it. The reply's strings are wiped
  /// after they were sent.
  using Handler =
      std::function<Result<nlohmann::json>(const std::string& command, nlohmann::json& request)>;

  /// Takes `PATH.lock` for its life: a second tfod is refused, and a socket file that is there all
  /// the same is stale and replaced. The socket has mode 0600 from the start; its directory is made
  /// (0700) if only the last component is missing.
  static Result<std::unique_ptr<ControlServer>> open(EventLoop& loop, std::string path,
                                                     Handler handler, ControlLimits limits = {});
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  struct Client;
  ControlServer(EventLoop& loop, std::string path, Handler handler, ControlLimits limits);
  Result<> lock();
  Result<> listen();
  void accept();
  void ready(Client& client, uint32_t events);
  bool receive(Client& client);
  bool send(Client& client);
  void answer(Client& client, const std::string& line);
  nlohmann::json reply_to(const std::string& line);
  void drop(Client& client);

  EventLoop& loop_;
  std::string path_;
  Handler handler_;
  ControlLimits limits_;
  Fd lock_;
  Fd listener_;
  EventLoop::Source listener_source_;
  std::list<Client> clients_;
  bool bound_ = false;
};

/// Overwrites every string in a document.
void wipe_strings(nlohmann::json& document);

}  // namespace tfo
