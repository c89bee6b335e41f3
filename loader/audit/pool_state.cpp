// SPDX-License-Identifier: BSD-2-Clause
#include "loader/audit/pool_state.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace tfo::audit {

using nlohmann::json;

namespace {

constexpr std::array<std::string_view, 8> kDoubts = {
    "key_store_failed", "clock_unsure", "clock_suspect", "secret_replaced",
    "no_key",           "fork",         "not_member",    "revocation_lost"};

}  // namespace

int64_t servers_change_for(const DerivedPolicy& policy, int64_t unix_s) {
  const int64_t margin = policy.margin();
  if (2 * margin >= policy.interval) return 0;
  const int64_t since = unix_s % policy.interval;
  if (since < margin) return margin - since;
  const int64_t until = policy.interval - since;
  return until <= margin ? until + margin : 0;
}

json doubts_of(const std::string& pool, const std::vector<Condition>& raised) {
  json doubts = json::array();
  for (const Condition& one : raised) {
    if (one.subject == pool && std::find(kDoubts.begin(), kDoubts.end(), one.id) != kDoubts.end()) {
      doubts.push_back({{"id", one.id}, {"evidence", one.evidence}});
    }
  }
  return doubts;
}

}  // namespace tfo::audit
