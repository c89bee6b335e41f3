// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "loader/dataplane/vip_policy.h"
#include "loader/rotation/farm_reports.h"
#include "loader/server/listeners.h"

namespace tfo {

/// Has any node of the farm been heard of since tfod started? A validator counts itself, so the
/// answer is yes once it has read the farm's acknowledgements.
bool has_heard(const rotation::FarmReports& reports);

/// What is known of a pool's servers: `own`, this host's own listeners, and what the farm's servers
/// report, nothing unless the pool is shared through etcd. This host's are among the farm's as soon
/// as it has acknowledged, hence the greater one of the sums counts. Of each server its smallest
/// queue counts, in the farm the smallest of all as often as there are servers: every listener has
/// one of its own, so more than that can be opened only by filling one of them. Likewise the
/// smallest backlog, in the farm the mean one. Where only some queues can be seen, the limits go by
/// those. No queue at all is as good as unknown: a limit would
/// protect nothing, and the service may be about to start.
ServerFacts server_facts_of(const std::vector<const ListenerReport*>& own,
                            const rotation::FarmReports& farm);

}  // namespace tfo
