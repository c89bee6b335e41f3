// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "loader/etcd/config.h"
#include "loader/etcd/endpoints.h"
#include "loader/etcd/fault.h"
#include "loader/etcd/http.h"
#include "loader/etcd/json.h"
#include "loader/event_loop.h"

namespace tfo::etcd {

/// A token of etcd's; null: none is needed.
using Token = std::shared_ptr<const Secret>;

/// Something asked of etcd whose answer is not there yet. Destroyed: the answer is no longer
/// wanted, and its callback is never called (what was asked may be done all the same).
class [[nodiscard]] Call {
 public:
  Call() = default;
  explicit Call(std::function<void()> cancel) : cancel_(std::move(cancel)) {}
  Call(Call&& other) noexcept : cancel_(std::exchange(other.cancel_, nullptr)) {}
  Call& operator=(Call&& other) noexcept {
    if (this != &other) {
      reset();
      cancel_ = std::exchange(other.cancel_, nullptr);
    }
    return *this;
  }
  ~Call() { reset(); }
  void reset() {
    if (const auto cancel = std::exchange(cancel_, nullptr)) cancel();
  }

 private:
  std::function<void()> cancel_;
};

/// One request of the gateway.
struct Request {
  std::string operation;  ///< for errors: "put"
  std::string path;       ///< "/v3/kv/put"
  nlohmann::json body;
  /// May be sent again when its outcome is not known: reads, keepalives. What may not is returned
  /// as it is (outcome_unknown()), because only its caller can tell by reading.
  bool repeatable = false;
  /// Its header's revision was agreed on by a majority: it is held against the highest one seen.
  bool linearizable = false;
};

/// How a linearizable answer stands to what was seen before it was asked for.
struct Continuity {
  /// The revision that had been seen, if this answer's is lower: etcd was restored from a backup or
  /// made anew. Watches from later revisions are deaf, and revisions no longer fence.
  std::optional<int64_t> rolled_back_from;
  bool other_cluster = false;  ///< the cluster's id is not the one seen before

  bool broken() const { return rolled_back_from.has_value() || other_cluster; }
};

struct Answer {
  nlohmann::json body;
  std::string endpoint;
  Continuity continuity;
};

/// A client of etcd's JSON gateway within one event loop and its one thread. Takes the endpoints in
/// turn: what was not sent, and what may be repeated, goes to the next one when an endpoint fails,
/// as often as there are endpoints and once more. Fetches a token when there is a user, and again
/// when a member does not know it. See kv.h, lease.h and watch.h for what can be asked.
class Client {
 public:
  using Callback = std::function<void(Outcome<Answer>)>;

  /// Nothing is sent yet. `config` is checked (config.h). The loop must outlive the client.
  static Result<std::unique_ptr<Client>> create(EventLoop& loop, const Config& config);
  /// No callback is called any more. Watches must be gone.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// `callback` is called later, once, unless the Call goes before.
  Call call(Request request, Callback callback);

  /// The highest revision of a linearizable answer since the last roll-back; 0: none yet.
  int64_t revision() const;

  // For watches, whose streams have a life of their own.
  EventLoop& loop();
  HttpTransport& transport();
  Endpoints& endpoints();
  const Config& config() const;
  Call with_token(std::function<void(const Outcome<Token>&)> callback);
  /// A member did not take this token: the next with_token() fetches another.
  void forget(const Token& token);

 private:
  class Core;
  explicit Client(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace tfo::etcd
