// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "loader/alert/alert.h"
#include "loader/alert/engine.h"

namespace tfo::alert {

/// Somebody who is told of alerts. Called in the loop's thread, and must not wait for anything.
class Sink {
 public:
  virtual ~Sink() = default;

  /// Each change once, in order. Alerts that a restart took over are not told again.
  virtual void take(const Change& change) = 0;

  /// After each tick's changes, with all that is raised now.
  virtual void tick(Instant, const std::vector<Alert>&) {}
};

/// The log: what is raised, goes up or down, or is cleared, one line each.
class Journal : public Sink {
 public:
  void take(const Change& change) override;
};

}  // namespace tfo::alert
