// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <vector>

#include "loader/dataplane/vip_policy.h"
#include "loader/rotation/farm_reports.h"
#include "loader/server/listeners.h"

namespace tfo {

/// Has any node of the farm been heard of since tfod started? A validator counts itself, so the
/// answer is yes once it has read the farm's acknowledgements.
bool has_heard(const rotation::FarmReports& reports);

/// What is known of a VIP's servers: `own`, this host's own listeners, and what the servers of the
/// farm that shares its pool report. This host's are among the farm's as soon as it has
/// acknowledged, hence the greater one of the sums counts. Every listener has a queue of its own,
/// so more than the least can be opened only by filling it. Of each own namespace the least counts
/// of those that serve this VIP (least_queues()). Of the farm only sums are known: the least of the
/// pool's listeners, whatever they serve, as often as there are servers, and the mean backlog; but
/// no more than an even part of all sums where several VIPs (`vips`) go by that pool, since one
/// listener may serve them all.
/// Where only some queues can be seen, the limits go by those. No queue at all is as good as
/// unknown: a limit would protect nothing, and the service may be about to start.
ServerFacts server_facts_of(const VipConfig& vip, const std::vector<const ListenerReport*>& own,
                            const rotation::FarmReports& farm, size_t vips = 1);

}  // namespace tfo
