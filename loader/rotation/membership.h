// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <optional>

#include "loader/rotation/follower.h"
#include "loader/rotation/records.h"
#include "loader/rotation/site.h"

namespace tfo::rotation {

/// This node's record among the members. Written first, then the document is read: so that from
/// the moment at which it can have missed a document, every leader waits for this node.
class Membership {
 public:
  /// `changed`: it joined, or is a member no more.
  Membership(Site& site, Follower& follower, std::function<void()> changed)
      : site_(site), follower_(follower), changed_(std::move(changed)) {}

  void take(const Reading& reading);
  /// There is another document.
  void check_forgotten();
  /// The record is there, and the document was read afterwards.
  bool joined() const { return joined_; }
  /// Not again.
  void end() { ended_ = true; }
  /// Our record as it was last read or written.
  const std::optional<Member>& record() const { return record_; }

 private:
  bool is_ours(const etcd::KeyValue& record);
  void join(const std::optional<etcd::KeyValue>& record);
  void set_joined(bool joined);

  Site& site_;
  Follower& follower_;
  std::function<void()> changed_;
  etcd::Call call_;
  bool busy_ = false;
  bool joined_ = false;
  bool ended_ = false;
  std::optional<Member> record_;
  uint64_t written_ = 0;  ///< number of the last read that was begun before the record was there
};

}  // namespace tfo::rotation
