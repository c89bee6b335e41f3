// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "loader/rotation/farm_reports.h"
#include "loader/rotation/follower.h"
#include "loader/rotation/site.h"

namespace tfo::rotation {

/// A validator's picture of what the farm's servers can take: the leader's sums (ReportWriter), as
/// each poll() reads them. Away from etcd, and while what lies there is not genuine, gone or an
/// earlier one, it keeps the last one; the leader tells of it and writes its own again.
class ReportBoard {
 public:
  /// `changed`: reports() are others.
  ReportBoard(Site& site, std::function<void()> changed)
      : site_(site), changed_(std::move(changed)) {}

  void take(const Reading& reading);

  const FarmReports& reports() const { return record_.sums; }

 private:
  Site& site_;
  std::function<void()> changed_;
  std::string value_;  ///< as last read
  ReportRecord record_;
};

}  // namespace tfo::rotation
