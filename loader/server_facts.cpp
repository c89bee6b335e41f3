// SPDX-License-Identifier: BSD-2-Clause
#include "loader/server_facts.h"

#include <algorithm>

#include "loader/server/server_bit.h"
#include "loader/server/serving.h"

namespace tfo {
namespace {

constexpr uint64_t kBacklogShare = 20;  // unproven SYNs a second: backlogs / 20

}  // namespace

bool has_heard(const rotation::FarmReports& reports) {
  return reports.balancers != 0 || reports.servers != 0;
}

ServerFacts server_facts_of(const VipConfig& vip, const std::vector<const ListenerReport*>& own,
                            const rotation::FarmReports& farm, size_t vips) {
  uint64_t backlogs = 0;
  uint64_t queues = 0;
  uint64_t least_queue = UINT64_MAX;
  ServerFacts facts;
  facts.no_cookie = farm.any_no_cookie_bit;
  for (const ListenerReport* report : own) {
    const LeastQueues least = least_queues(*report, vip);
    backlogs += least.backlog;
    const uint64_t queue = least.fast_open.value_or(0);
    queues += queue;
    if (queue != 0) least_queue = std::min(least_queue, queue);
    facts.no_cookie = facts.no_cookie || (report->fastopen_bits & kFastopenNoCookie) != 0;
  }
  if (farm.listeners != 0) {
    const uint64_t mean = farm.backlog_sum / farm.listeners * farm.servers;
    backlogs = std::max(backlogs, std::min(mean, farm.backlog_sum / vips));
  }
  const uint64_t shared = std::min(farm.qlen_sum / vips, farm.qlen_least * farm.servers);
  queues = std::max(queues, shared);
  if (shared != 0)
    least_queue = std::min(least_queue, std::max<uint64_t>(1, shared / farm.servers));
  facts.balancers = static_cast<unsigned>(std::clamp<uint64_t>(farm.balancers, 1, UINT32_MAX));
  if (queues != 0) {
    facts.fastopen_limit = queues;
    facts.fastopen_least = least_queue;
  }
  if (backlogs != 0) {
    facts.unproven_rate =
        static_cast<unsigned>(std::clamp<uint64_t>(backlogs / kBacklogShare, 1, UINT32_MAX));
  }
  return facts;
}

}  // namespace tfo
