// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <algorithm>
#include <cstdint>

#include "loader/etcd/client.h"
#include "loader/etcd/json.h"

namespace tfo::etcd {

/// The highest revision that a majority has answered with, and of which cluster. A linearizable
/// answer must not be older than one that had arrived before it was asked for; of two that were
/// under way at the same time either may be the older.
class ContinuityCheck {
 public:
  int64_t revision() const { return highest_; }

  /// Holds an answer's header against `floor`, revision() as it was when it was asked for.
  Continuity take(const Header& header, int64_t floor) {
    Continuity found;
    found.other_cluster = cluster_ != 0 && header.cluster_id != cluster_;
    if (header.revision < floor) found.rolled_back_from = floor;
    cluster_ = header.cluster_id;
    // After a roll-back the new count is the one that holds; it is reported once.
    highest_ = found.broken() ? header.revision : std::max(highest_, header.revision);
    return found;
  }

 private:
  int64_t highest_ = 0;
  uint64_t cluster_ = 0;
};

}  // namespace tfo::etcd
