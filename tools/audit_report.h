// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "tools/audit_keys.h"

namespace tfo {

/// An audit that is done.
struct AuditReport {
  std::vector<audit::Answer> answers;
  AuditMatch match;           // its makers belong to the answers
  bool ring_changed = false;  // while the servers were asked

  audit::Verdict verdict(size_t i) const;
  size_t in_step() const;
};

/// One row for each server, then what the verdicts mean, then the sum.
void print_audit(Context& context, const AuditReport& report);
void print_audit_json(Context& context, const AuditReport& report);

}  // namespace tfo
