// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "loader/etcd/watch_message.h"

namespace tfo::etcd {

/// What a watch has to say.
struct WatchNotice {
  enum class Kind {
    kCreated,      ///< etcd watches: what happens from here on is seen
    kEvents,       ///< all events of one or more whole revisions, in order, none twice
    kProgress,     ///< nothing has happened, and the stream is alive
    kInterrupted,  ///< the stream was lost or went silent; it is opened again by itself
    kCompacted,    ///< ended: events were compacted away unseen. Read, and watch from there
    kTooLarge,     ///< ended: events larger than Limits allow. Read, and watch from there
    kDenied,       ///< ended: the user may not read this range
  };
  Kind kind = Kind::kProgress;
  Header header;
  std::vector<WatchEvent> events;
  int64_t compact_revision = 0;
  /// The member's revision is lower than one that this watch has seen or was told of (kCreated,
  /// kProgress): it lags, or etcd was restored from a backup and this watch is deaf until its
  /// revisions have caught up. A linearizable read tells which (Continuity).
  bool behind = false;
  std::string text;  ///< why it was interrupted or ended

  bool ended() const {
    return kind == Kind::kCompacted || kind == Kind::kTooLarge || kind == Kind::kDenied;
  }
};

/// What one watch has seen over all its streams. No clock, no network: messages in, notices out.
class WatchTracker {
 public:
  /// `from`: the first revision wanted. `limit`: bytes of keys and values that belong together.
  WatchTracker(int64_t from, size_t limit) : next_(from), limit_(limit) {}

  /// Where the next stream has to begin: after the last revision that was handed on whole. What
  /// progress messages say does not count: some versions of etcd send them before the events that
  /// they cover.
  int64_t next() const { return next_; }

  /// A new stream begins: what was half received is forgotten.
  void reopened();

  /// Nothing, where a message only begins one.
  std::vector<WatchNotice> take(WatchMessage message);

 private:
  WatchNotice canceled(const WatchMessage& message) const;
  WatchNotice failed(const GrpcStatus& status) const;
  bool behind(const Header& header);
  void keep(WatchMessage& message);
  WatchNotice events(const Header& header);

  int64_t next_;
  size_t limit_;
  int64_t seen_ = 0;  ///< highest revision of this stream
  std::vector<WatchEvent> pending_;
  size_t pending_bytes_ = 0;
};

}  // namespace tfo::etcd
