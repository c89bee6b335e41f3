// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>

#include "loader/etcd/lease.h"
#include "loader/rotation/follower.h"
#include "loader/rotation/site.h"

namespace tfo::rotation {

/// This node's lease, with live/N on it. Renewed only while the document was confirmed lately: a
/// node that hears nothing must not look alive.
class Presence {
 public:
  /// `changed`: the lease was got or lost.
  Presence(Site& site, const Follower& follower, std::function<void()> changed)
      : site_(site), follower_(follower), changed_(std::move(changed)) {}
  Result<> start();

  /// The document was confirmed, or not. Is live/N still there, on our lease?
  void take(const Reading& reading);
  /// Another lease: what the old one stands for may be a backup's.
  void renew();
  /// Ends it; the keys that are attached go with it.
  void end(std::function<void()> done);

  /// 0: none is held.
  int64_t lease() const { return announced_ ? lease_ : 0; }

 private:
  void beat();
  void grant();
  void granted(const etcd::Outcome<etcd::Lease>& outcome);
  void announce();
  void keep_alive();
  void lost();

  Site& site_;
  const Follower& follower_;
  std::function<void()> changed_;
  EventLoop::Source timer_;
  etcd::Call call_;
  etcd::Call revoke_call_;
  int64_t lease_ = 0;
  bool granted_ = false;
  bool announced_ = false;     ///< live/N is there
  uint64_t announced_in_ = 0;  ///< number of the last read begun before it was there
  bool busy_ = false;
};

}  // namespace tfo::rotation
