// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "loader/rotation/follower.h"
#include "loader/rotation/membership.h"
#include "loader/rotation/presence.h"
#include "loader/rotation/site.h"

namespace tfo::rotation {

/// Stands for leader whenever a read finds none: every node reads at another time, and waits for a
/// random part of a second besides. Nobody watches the key: a thousand watches would cost more.
class Candidate {
 public:
  struct Hooks {
    std::function<void(int64_t create_revision)> won;
    std::function<void()> lost;
  };

  Candidate(Site& site, Follower& follower, const Presence& presence, const Membership& membership,
            Hooks hooks)
      : site_(site),
        follower_(follower),
        presence_(presence),
        membership_(membership),
        hooks_(std::move(hooks)) {}
  Result<> start();

  void take(const Reading& reading);
  /// We lead no more, whatever etcd says: the lease is gone, or etcd was rolled back.
  void step_down();
  /// Gives it up, and does not stand for a while.
  void resign();

  bool leading() const { return create_revision_ != 0; }
  /// As last read; empty: nobody.
  const std::string& leader() const { return leader_; }

 private:
  bool eligible() const;
  void campaign();
  void won(int64_t create_revision);

  Site& site_;
  Follower& follower_;
  const Presence& presence_;
  const Membership& membership_;
  Hooks hooks_;
  EventLoop::Source timer_;
  etcd::Call call_;
  etcd::Call resign_call_;
  bool busy_ = false;
  bool waiting_ = false;
  int64_t create_revision_ = 0;  ///< of `leader`, while it is ours
  int64_t not_before_ = 0;       ///< boot_ms()
  std::string leader_;
};

}  // namespace tfo::rotation
