// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "loader/etcd/kv.h"
#include "loader/event_loop.h"
#include "loader/result.h"
#include "tools/context.h"

namespace tfo {

/// etcd for a command: one request after another, each waited for. What takes longer than 2 s is
/// said on standard error.
class FarmEtcd {
 public:
  static Result<std::unique_ptr<FarmEtcd>> open(Context& context, const etcd::Config& config);

  /// A linearizable read.
  etcd::Outcome<etcd::RangeReply> read(const std::string& key);
  etcd::Outcome<etcd::TxnReply> txn(const etcd::Txn& what);

 private:
  FarmEtcd(Context& context, std::unique_ptr<EventLoop> loop, std::unique_ptr<etcd::Client> client);
  void begin();
  /// Runs the loop for a moment.
  void step();

  Context& context_;
  std::chrono::steady_clock::time_point say_at_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<etcd::Client> client_;
};

}  // namespace tfo
