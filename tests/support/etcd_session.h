// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loader/etcd/client.h"
#include "loader/etcd/kv.h"
#include "loader/etcd/watch.h"
#include "loader/event_loop.h"

namespace tfo::test {

/// A client in an event loop that runs while somebody waits.
class EtcdSession {
 public:
  explicit EtcdSession(const etcd::Config& config);

  etcd::Client& client() { return *client_; }
  EventLoop& loop() { return *loop_; }
  /// Why there is no client; empty if there is.
  const std::string& error() const { return error_; }

  /// Runs the loop until `condition` holds, at most `seconds`; returns its last value.
  bool until(const std::function<bool()>& condition, double seconds = 15);

  /// Starts something and waits for its outcome.
  template <class Reply>
  etcd::Outcome<Reply> await(
      const std::function<etcd::Call(std::function<void(etcd::Outcome<Reply>)>)>& start,
      double seconds = 30) {
    const auto outcome = std::make_shared<std::optional<etcd::Outcome<Reply>>>();
    const etcd::Call call =
        start([outcome](etcd::Outcome<Reply> reply) { outcome->emplace(std::move(reply)); });
    until([&] { return outcome->has_value(); }, seconds);
    if (*outcome) return std::move(**outcome);
    return tl::unexpected(etcd::Fault{etcd::FaultKind::kRefused, -1, "the test waited in vain"});
  }

  etcd::Outcome<etcd::RangeReply> range(const etcd::Range& what);
  etcd::Outcome<etcd::RangeReply> read(const std::string& key);
  etcd::Outcome<etcd::PutReply> put(const std::string& key, const std::string& value);
  etcd::Outcome<etcd::TxnReply> txn(const etcd::Txn& what);
  /// Any other request of the gateway.
  etcd::Outcome<etcd::Answer> post(const std::string& path, const nlohmann::json& body);

 private:
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<etcd::Client> client_;
  std::string error_;
};

/// A watch and all that it has said.
class EtcdWatchLog {
 public:
  EtcdWatchLog(EtcdSession& session, const etcd::WatchTarget& target);

  etcd::Watch& watch() { return *watch_; }
  const std::vector<etcd::WatchNotice>& notices() const { return *notices_; }
  size_t count(etcd::WatchNotice::Kind kind) const;
  /// The last notice of a kind, or null.
  const etcd::WatchNotice* last(etcd::WatchNotice::Kind kind) const;
  /// Waits for the nth notice of a kind.
  bool wait(etcd::WatchNotice::Kind kind, size_t n = 1, double seconds = 15);
  /// The values of all events, in order.
  std::vector<std::string> values() const;
  bool wait_value(const std::string& value, double seconds = 15);
  /// All notices in words, for a failing test.
  std::string text() const;

 private:
  EtcdSession& session_;
  std::shared_ptr<std::vector<etcd::WatchNotice>> notices_;
  std::unique_ptr<etcd::Watch> watch_;
};

/// Makes user "root" and switches authentication on, with a user "tfod" that reads and writes keys
/// that begin with "/tfo/". Passwords are "root-password" and "tfod-password".
std::string enable_authentication(EtcdSession& session);

}  // namespace tfo::test
