// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>

#include "loader/dataplane/fd.h"
#include "loader/result.h"

namespace tfo {

/// RCU grace periods: after wait() no packet still works with what was live before. An update of an
/// array of maps ends with synchronize_rcu() (maybe_wait_bpf_programs() in kernel/bpf/syscall.c);
/// a private one serves as the lever. About 10 ms.
class GracePeriod {
 public:
  static Result<GracePeriod> create();

  Result<> wait();

  /// Waits only if no grace period has passed since `mark` = now() was taken: many flips share one.
  Result<> wait_since(uint64_t mark);
  uint64_t now() const { return passed_; }

 private:
  GracePeriod(Fd inner, Fd outer) : inner_(std::move(inner)), outer_(std::move(outer)) {}
  Fd inner_;
  Fd outer_;
  uint64_t passed_ = 0;
};

}  // namespace tfo
