// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/report_board.h"

#include <utility>

#include "loader/rotation/records.h"

namespace tfo::rotation {

void ReportBoard::take(const Reading& reading) {
  if (!site_.settings.balancer || !reading.reports || reading.reports->value == value_) return;
  value_ = reading.reports->value;
  const auto opened = site_.open(kReports, value_);
  if (!opened) return;
  const auto record = report_record_from(
      nlohmann::json::parse(opened->text.begin(), opened->text.end(), nullptr, false));
  if (!record || record->at <= record_.at) return;
  record_ = *record;
  changed_();
}

}  // namespace tfo::rotation
