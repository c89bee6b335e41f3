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
                            const rotation::FarmReports& farm) {
  uint64_t backlogs = 0;
  uint64_t queues = 0;
  ServerFacts facts;
  facts.no_cookie = farm.any_no_cookie_bit;
  for (const ListenerReport* report : own) {
    const LeastQueues least = least_queues(*report, vip);
    backlogs += least.backlog;
    queues += least.fast_open.value_or(0);
    facts.no_cookie = facts.no_cookie || (report->fastopen_bits & kFastopenNoCookie) != 0;
  }
  if (farm.listeners != 0) {
    backlogs = std::max(backlogs, farm.backlog_sum / farm.listeners * farm.servers);
  }
  queues = std::max(queues, std::min(farm.qlen_sum, farm.qlen_least * farm.servers));
  facts.balancers = static_cast<unsigned>(std::clamp<uint64_t>(farm.balancers, 1, UINT32_MAX));
  if (queues != 0) facts.fastopen_limit = queues;
  if (backlogs != 0) {
    facts.unproven_rate =
        static_cast<unsigned>(std::clamp<uint64_t>(backlogs / kBacklogShare, 1, UINT32_MAX));
  }
  return facts;
}

}  // namespace tfo
