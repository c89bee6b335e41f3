// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "loader/rotation/follower.h"
#include "loader/rotation/membership.h"
#include "loader/rotation/records.h"
#include "loader/rotation/site.h"

namespace tfo::rotation {

/// Tells the farm what is in force here. Follows what confirm() says: at once when it is about
/// another document, at most once a second else, and every Settings::between_listeners where only
/// listeners differ. Says the same again, with the clock as it is by then, to a new leader, and
/// about every five minutes: a leader acts on time only while others can tell it that its clock is
/// wrong.
class Acknowledgement {
 public:
  /// `changed`: given() may be another.
  Acknowledgement(Site& site, Follower& follower, const Membership& membership,
                  std::function<void()> changed)
      : site_(site), follower_(follower), membership_(membership), changed_(std::move(changed)) {}
  Result<> start();

  void confirm(const Applied& applied);
  const std::optional<Applied>& applied() const { return applied_; }
  /// Is what etcd has what we wrote?
  void take(const Reading& reading);
  /// Writes what is due.
  void pump();
  /// etcd may have lost it.
  void write_again() { written_.reset(); }
  /// This node is no member any more: what it promised does not count.
  void forget();
  /// Was a document acknowledged in full, in this run and membership?
  bool given() const { return given_; }
  void end();

 private:
  /// The document that `applied_` is about.
  struct Held {
    Counter counter;
    std::string hash;
    int64_t since = 0;  ///< unix seconds
  };

  std::optional<Ack> wanted() const;
  void look_for_leader(const Reading& reading);
  void look_for_twin(const std::string& value);
  int64_t due(const Ack& ack) const;
  void write(Ack ack);
  void wrote(const Ack& ack, const std::string& value, const etcd::Outcome<etcd::TxnReply>& reply);

  Site& site_;
  Follower& follower_;
  const Membership& membership_;
  std::function<void()> changed_;
  EventLoop::Source timer_;
  etcd::Call call_;
  bool busy_ = false;
  bool given_ = false;
  std::optional<Applied> applied_;
  std::optional<Held> held_;
  std::optional<Ack> written_;
  std::string written_value_;
  uint64_t written_in_ = 0;  ///< number of the last read begun before it was there
  int64_t written_at_ = 0;   ///< boot_ms()
  int64_t listeners_at_ = 0;
  int64_t clock_due_ = 0;  ///< boot_ms(): when it is written again for its clock alone
  /// Reads that found another run's ack in the place of ours, and boot_ms() of the last one.
  int foreign_ = 0;
  int64_t foreign_at_ = 0;
  AckOrder foreigners_;
  uint64_t sequence_ = 0;  ///< of the last ack that was written, or tried to be
  int64_t leader_ = 0;     ///< create revision of `leader`, as last read
};

}  // namespace tfo::rotation
