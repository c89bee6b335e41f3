// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "loader/etcd/client.h"
#include "loader/etcd/watch_tracker.h"

namespace tfo::etcd {

struct WatchTarget {
  std::string key;
  std::string range_end;  ///< empty: the one key
  /// The first revision wanted, at least 1: one more than the header's of the read before it. (A
  /// revision that is yet to come is no error to etcd.)
  int64_t from = 1;
};

/// A watch that lives as long as this object or until it has ended(): opened at the client's
/// current endpoint, asked for a sign of life when it is silent (Timeouts::ping), given up when it
/// stays so (Timeouts::silence), opened elsewhere from the revision after the last one seen.
class Watch {
 public:
  using Handler = std::function<void(WatchNotice)>;

  /// `handler` is called later, from the client's loop; it may destroy the watch. The client must
  /// outlive it.
  static Result<std::unique_ptr<Watch>> open(Client& client, WatchTarget target, Handler handler);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// Where it would go on.
  int64_t next_revision() const;
  /// How long ago the stream said anything, a sign of life included. Whoever acts on what it has
  /// not heard of must look here.
  std::chrono::milliseconds silent_for() const;
  /// The endpoint of the stream, or of the last attempt.
  std::string endpoint() const;

 private:
  class Core;
  explicit Watch(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace tfo::etcd
