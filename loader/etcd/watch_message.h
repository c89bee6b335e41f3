// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "loader/etcd/fault.h"
#include "loader/etcd/json.h"

namespace tfo::etcd {

/// Cuts a stream into lines, whatever pieces it comes in. Holds no more than one piece and `limit`
/// bytes.
class LineSplitter {
 public:
  explicit LineSplitter(size_t limit) : limit_(limit) {}

  void add(std::string_view piece);
  /// The next line without its end; nothing: more has to come. etcd's last word ({"error": ...})
  /// has no end of line: it is a line as soon as it is whole.
  std::optional<std::string> next();
  /// After next() has given all: the line that has begun is longer than the limit, and the rest of
  /// the stream of no use.
  bool overflown() const { return buffer_.size() - begin_ > limit_; }
  /// What came after the last end of line.
  std::string take_rest();

 private:
  size_t limit_;
  std::string buffer_;
  size_t begin_ = 0;    ///< of the next line
  size_t scanned_ = 0;  ///< no end of line between begin_ and here
};

struct WatchEvent {
  bool deleted = false;
  KeyValue kv;  ///< of a deleted key: key and mod_revision only
};

/// One line of a watch's stream.
struct WatchMessage {
  Header header;
  int64_t watch_id = 0;  ///< -1: answers a progress request, or a refusal
  bool created = false;
  bool canceled = false;  ///< the stream stays open and silent all the same
  bool fragment = false;  ///< more events of the same revisions follow
  int64_t compact_revision = 0;
  std::string cancel_reason;
  std::vector<WatchEvent> events;
  std::optional<GrpcStatus> error;  ///< the stream has ended
};

/// Nothing if etcd does not write such a line.
std::optional<WatchMessage> parse_watch_line(std::string_view line);

}  // namespace tfo::etcd
