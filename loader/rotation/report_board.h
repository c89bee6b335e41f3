// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "loader/etcd/kv.h"
#include "loader/etcd/watch.h"
#include "loader/rotation/farm_reports.h"
#include "loader/rotation/follower.h"
#include "loader/rotation/site.h"

namespace tfo::rotation {

/// A validator's picture of what the farm's servers can take: reads all acknowledgements once and
/// follows them by a watch. Away from etcd it keeps the last one. What is not genuine is left out;
/// the leader tells of it.
class ReportBoard {
 public:
  /// `changed`: reports() are others.
  ReportBoard(Site& site, std::function<void()> changed)
      : site_(site), changed_(std::move(changed)) {}
  Result<> start();

  /// etcd answers: time to begin, on a validator.
  void take(const Reading& reading);
  /// etcd was rolled back: a watch may be deaf.
  void begin_again();

  const FarmReports& reports() const { return reports_; }

 private:
  void load();
  void loaded(const etcd::Outcome<etcd::RangeReply>& reply);
  void noticed(const etcd::WatchNotice& notice);
  void put(const etcd::KeyValue& record);
  void sum();

  Site& site_;
  std::function<void()> changed_;
  EventLoop::Source timer_;
  etcd::Call call_;
  std::unique_ptr<etcd::Watch> watch_;
  bool begun_ = false;
  std::map<std::string, Ack> acks_;  ///< by node
  FarmReports reports_;
};

}  // namespace tfo::rotation
