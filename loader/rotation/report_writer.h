// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>

#include "loader/etcd/kv.h"
#include "loader/event_loop.h"
#include "loader/result.h"
#include "loader/rotation/farm_reports.h"
#include "loader/rotation/roster.h"
#include "loader/rotation/site.h"

namespace tfo::rotation {

/// `leader` is still the one that was made at this revision.
etcd::Compare still_leader(const Site& site, int64_t create_revision);

/// While this node leads: writes what all servers take for all to read (kReports), when it is
/// another, at most once in a second; when only the age of the oldest word is another, once in a
/// minute; and again over what somebody else has put there.
class ReportWriter {
 public:
  ReportWriter(Site& site, const Roster& roster) : site_(site), roster_(roster) {}
  Result<> start();

  void lead(int64_t create_revision);
  void stop();
  /// The roster may say something else. `complete`: all nodes that run have had their time to say
  /// it (FarmView::complete); before that, what the leader before wrote stands.
  void look(bool complete);

 private:
  void check();
  void write();
  void wrote(const etcd::Outcome<etcd::TxnReply>& reply);

  Site& site_;
  const Roster& roster_;
  EventLoop::Source timer_;
  etcd::Call call_;
  int64_t create_revision_ = 0;
  bool busy_ = false;
  bool pending_ = false;  ///< check() comes by itself, within a second
  bool complete_ = false;
  int64_t checked_at_ = 0;  ///< boot_ms()
  int64_t written_at_ = 0;  ///< boot_ms()
  int64_t newest_ = 0;      ///< the highest ReportRecord::at that was seen
};

}  // namespace tfo::rotation
