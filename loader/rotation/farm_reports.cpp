// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/farm_reports.h"

#include <algorithm>

#include "loader/rotation/object_reader.h"

namespace tfo::rotation {
namespace {

using nlohmann::json;

constexpr uint64_t kQuarters = 4;

/// 0 where there is no such number: what another release says differently is not known.
uint64_t number(const json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

uint64_t least_known(uint64_t a, uint64_t b) { return a == 0 || b == 0 ? a + b : std::min(a, b); }

void add_namespace(FarmReports& sum, const json& ns) {
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
  sum.qlen_least = least_known(sum.qlen_least, number(*found, "qlen_least"));
}

}  // namespace

FarmReports report_of(const Ack& ack) {
  FarmReports report;
  if (ack.balancer) report.balancers = 1;
  if (!ack.server) return report;
  report.servers = 1;
  report.oldest_at = ack.clock;
  if (!ack.listeners.is_array()) return report;
  for (const json& ns : ack.listeners) add_namespace(report, ns);
  return report;
}

void add(FarmReports& sum, const FarmReports& more) {
  if (more.servers > 0) {
    sum.oldest_at = sum.servers == 0 ? more.oldest_at : std::min(sum.oldest_at, more.oldest_at);
  }
  sum.servers += more.servers;
  sum.balancers += more.balancers;
  sum.listeners += more.listeners;
  sum.qlen_sum += more.qlen_sum;
  sum.qlen_least = least_known(sum.qlen_least, more.qlen_least);
  sum.qlen_unknown += more.qlen_unknown;
  sum.backlog_sum += more.backlog_sum;
  sum.fullest_quarters = std::max(sum.fullest_quarters, more.fullest_quarters);
  sum.any_no_cookie_bit = sum.any_no_cookie_bit || more.any_no_cookie_bit;
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

json to_json(const ReportRecord& record) {
  const FarmReports& sums = record.sums;
  return {{"at", record.at},
          {"servers", sums.servers},
          {"balancers", sums.balancers},
          {"listeners", sums.listeners},
          {"qlen_sum", sums.qlen_sum},
          {"qlen_least", sums.qlen_least},
          {"qlen_unknown", sums.qlen_unknown},
          {"backlog_sum", sums.backlog_sum},
          {"fullest_quarters", sums.fullest_quarters},
          {"any_no_cookie_bit", sums.any_no_cookie_bit},
          {"oldest_at", sums.oldest_at}};
}

Result<ReportRecord> report_record_from(const json& object) {
  ObjectReader<json> reader(object, "");
  ReportRecord record;
  record.at = reader.number<int64_t>("at");
  FarmReports& sums = record.sums;
  sums.servers = reader.number<uint64_t>("servers");
  sums.balancers = reader.number<uint64_t>("balancers");
  sums.listeners = reader.number<uint64_t>("listeners");
  sums.qlen_sum = reader.number<uint64_t>("qlen_sum");
  sums.qlen_least = reader.number<uint64_t>("qlen_least");
  sums.qlen_unknown = reader.number<uint64_t>("qlen_unknown");
  sums.backlog_sum = reader.number<uint64_t>("backlog_sum");
  sums.fullest_quarters = reader.number<uint64_t>("fullest_quarters");
  sums.any_no_cookie_bit = reader.boolean("any_no_cookie_bit");
  sums.oldest_at = reader.number<int64_t>("oldest_at");
  if (auto read = reader.done(); !read) return tl::unexpected(std::move(read.error()));
  return record;
}

}  // namespace tfo::rotation
