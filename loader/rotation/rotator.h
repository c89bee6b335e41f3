// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "loader/etcd/kv.h"
#include "loader/etcd/watch.h"
#include "loader/rotation/follower.h"
#include "loader/rotation/machine.h"
#include "loader/rotation/presence.h"
#include "loader/rotation/report_writer.h"
#include "loader/rotation/roster.h"
#include "loader/rotation/site.h"

namespace tfo::rotation {

/// What a leader does while it leads: watches all of the pool, asks the machine, and writes what it
/// decides in one transaction that holds only if `leader` is still this node's and the document
/// still the one that the decision is about.
class Rotator {
 public:
  struct Hooks {
    std::function<void()> resign;
    std::function<void()> changed;
  };

  Rotator(Site& site, Follower& follower, const Presence& presence, Hooks hooks);
  Result<> start();

  void lead(int64_t create_revision);
  void stop();
  void take(const Reading& reading);
  /// Something that a decision depends on is another.
  void consider_soon();

  bool leading() const { return create_revision_ != 0; }
  /// All that there is, while it leads.
  const Roster* roster() const { return leading() && loaded_ ? &roster_ : nullptr; }
  const Decision& decision() const { return decision_; }

 private:
  void load();
  /// After a reading that failed: each time twice as late.
  void load_later();
  void loaded(const etcd::Outcome<etcd::RangeReply>& reply);
  void noticed(const etcd::WatchNotice& notice);
  void consider();
  void remove_forged();
  FarmView view() const;
  void tell();
  /// `seen`: what the decision went by.
  void sleep_until(std::optional<int64_t> wake_at, const FarmView& seen);
  etcd::Compare still_leader() const { return rotation::still_leader(site_, create_revision_); }
  void add_forgotten(etcd::Txn& txn) const;
  void add_answers(etcd::Txn& txn);
  bool add_answer(etcd::Txn& txn, const std::string& id, const std::string* why);
  void write();
  void wrote(const std::optional<std::string>& value, const etcd::Outcome<etcd::TxnReply>& reply);

  Site& site_;
  Follower& follower_;
  const Presence& presence_;
  Hooks hooks_;
  Machine machine_;
  Roster roster_;
  EventLoop::Source timer_;
  EventLoop::Source load_timer_;
  etcd::Call call_;
  etcd::Call remove_call_;
  std::unique_ptr<etcd::Watch> watch_;
  int64_t create_revision_ = 0;
  int64_t since_ = 0;           ///< boot_ms()
  int64_t considered_at_ = 0;   ///< boot_ms()
  int64_t considering_ms_ = 0;  ///< what that took
  int64_t not_before_ = 0;      ///< boot_ms(): after a write that was not done
  std::chrono::milliseconds next_load_{0};
  bool loaded_ = false;
  bool busy_ = false;
  bool removing_ = false;
  ReportWriter reports_;
  /// After a write of unknown outcome: number of the last read begun before; nothing is decided
  /// until a later one is there.
  uint64_t unknown_in_ = 0;
  Decision decision_;
};

}  // namespace tfo::rotation
