// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/farm_reports.h"

#include <algorithm>

namespace tfo::rotation {
namespace {

using nlohmann::json;

constexpr uint64_t kQuarters = 4;

/// 0 where there is no such number: what another release says differently is not known.
uint64_t number(const json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

void add(FarmReports& sum, const json& ns) {
  if (!ns.is_object()) return;
  if ((number(ns, "fastopen_bits") & kNoCookieBit) != 0) sum.any_no_cookie_bit = true;
  const auto found = ns.find("sums");
  if (found == ns.end() || !found->is_object()) return;
  sum.listeners += number(*found, "listeners");
  sum.qlen_sum += number(*found, "qlen");
  sum.qlen_unknown += number(*found, "qlen_unknown");
  sum.backlog_sum += number(*found, "backlog");
  const uint64_t fullest = std::min(number(*found, "fullest_quarters"), kQuarters);
  sum.fullest_quarters = std::max(sum.fullest_quarters, fullest);
  const uint64_t least = number(*found, "qlen_least");
  if (least != 0 && (sum.qlen_least == 0 || least < sum.qlen_least)) sum.qlen_least = least;
}

}  // namespace

FarmReports add_up(const std::map<std::string, Ack>& acks) {
  FarmReports sum;
  for (const auto& [node, ack] : acks) {
    if (ack.balancer) ++sum.balancers;
    if (!ack.server) continue;
    ++sum.servers;
    sum.oldest_at = sum.oldest_at == 0 ? ack.clock : std::min(sum.oldest_at, ack.clock);
    if (!ack.listeners.is_array()) continue;
    for (const json& ns : ack.listeners) add(sum, ns);
  }
  return sum;
}

json to_json(const FarmReports& reports, int64_t now) {
  const auto known = [](uint64_t value) { return value == 0 ? json(nullptr) : json(value); };
  json age = nullptr;
  if (reports.oldest_at != 0) age = std::max<int64_t>(0, now - reports.oldest_at);
  return {{"servers", reports.servers},
          {"balancers", reports.balancers},
          {"listeners", reports.listeners},
          {"qlen_sum", reports.qlen_sum},
          {"qlen_least", known(reports.qlen_least)},
          {"qlen_unknown", reports.qlen_unknown},
          {"backlog_sum", reports.backlog_sum},
          {"fullest_quarters", reports.fullest_quarters},
          {"any_no_cookie_bit", reports.any_no_cookie_bit},
          {"oldest_age_s", std::move(age)}};
}

}  // namespace tfo::rotation
