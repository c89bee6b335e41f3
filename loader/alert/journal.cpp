// SPDX-License-Identifier: BSD-2-Clause
#include "loader/alert/sink.h"
#include "loader/log.h"

namespace tfo::alert {

void Journal::take(const Change& change) {
  const bool critical = change.alert.severity == Severity::kCritical;
  switch (change.what) {
    case Change::What::kEvidence:
      return;
    case Change::What::kCleared:
      return log_info("alert cleared ({}): {}", change.why, alert_line(change.alert));
    case Change::What::kRaised:
    case Change::What::kSeverity:
      return log_line(critical ? LogLevel::kError : LogLevel::kWarning,
                      std::string("alert ") +
                          (change.what == Change::What::kRaised ? "raised: " : "is now ") +
                          alert_line(change.alert));
  }
}

}  // namespace tfo::alert
