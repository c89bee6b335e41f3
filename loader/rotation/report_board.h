// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "loader/etcd/kv.h"
#include "loader/rotation/farm_reports.h"
#include "loader/rotation/follower.h"
#include "loader/rotation/records.h"
#include "loader/rotation/site.h"

namespace tfo::rotation {

/// A validator's picture of what the farm's servers can take: reads all acknowledgements, every
/// poll() and 50 ms more for each of them (a minute in a farm of a thousand). Away from etcd it
/// keeps the last one. What is not genuine is left out; the leader tells of it. Whoever writes to
/// etcd lowers no sum by spoiling or deleting an acknowledgement: a node's last genuine one counts
/// until the document says that the node was forgotten, or the node itself (left/N, sealed no
/// earlier than that) that it leaves. (What was deleted before this node first read is not known to
/// it.)
class ReportBoard {
 public:
  /// `changed`: reports() are others.
  ReportBoard(Site& site, std::function<void()> changed)
      : site_(site), changed_(std::move(changed)) {}
  Result<> start();

  /// etcd answers: time to begin, on a validator.
  void take(const Reading& reading);
  /// etcd was rolled back.
  void begin_again();

  const FarmReports& reports() const { return reports_; }

 private:
  /// A node's part of the sums.
  struct Part {
    Counter counter;  ///< that it has acknowledged
    FarmReports report;
    bool recorded = true;  ///< an acknowledgement of it lies in etcd
  };

  void load();
  void loaded(const etcd::Outcome<etcd::RangeReply>& reply);
  void put(const etcd::KeyValue& record);
  void gone(const std::string& node);
  void look_for_farewells();
  void farewell(const std::string& node, const etcd::Outcome<etcd::RangeReply>& reply);
  void sum_soon();
  void sum();

  Site& site_;
  std::function<void()> changed_;
  EventLoop::Source timer_;
  etcd::Call call_;
  bool begun_ = false;
  std::map<std::string, Part> parts_;       ///< by node
  std::map<std::string, AckOrder> orders_;  ///< by node, for good: what is put back is known again
  std::set<std::string> gone_;              ///< nodes whose record went, not looked for yet
  EventLoop::Source sum_timer_;
  etcd::Call farewell_call_;
  bool looking_ = false;  ///< farewell_call_ is under way
  bool summing_ = false;  ///< sum_timer_ runs
  FarmReports reports_;
};

}  // namespace tfo::rotation
