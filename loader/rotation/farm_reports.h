// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "loader/result.h"
#include "loader/rotation/records.h"

namespace tfo::rotation {

/// tcp_fastopen's bit that has a server take data without any cookie
/// (TFO_SERVER_COOKIE_NOT_REQD in include/net/tcp.h).
inline constexpr uint32_t kNoCookieBit = 0x200;

/// What the servers of a pool said of their listeners, added up: how many pending Fast Open
/// connections the pool takes in all, which is what a validator's limits have to be measured by.
/// Only listeners that may do Fast Open count. `oldest_at` says how far the sums can be trusted.
struct FarmReports {
  uint64_t servers = 0;       ///< nodes of that role that have acknowledged something
  uint64_t balancers = 0;     ///< the same
  uint64_t listeners = 0;     ///< of all servers
  uint64_t qlen_sum = 0;      ///< pending Fast Open connections that they take, in all
  uint64_t qlen_least = 0;    ///< of the least address and port; 0: none is known
  uint64_t qlen_unknown = 0;  ///< listeners whose queue their node's kernel does not show
  uint64_t backlog_sum = 0;   ///< listen()'s backlogs, as somaxconn cuts them
  /// How full the fullest queue was when it was reported: whole quarters, 0 to 4. Finer, and every
  /// connection would be a write to etcd.
  uint64_t fullest_quarters = 0;
  bool any_no_cookie_bit = false;  ///< some namespace has kNoCookieBit: nothing may be demoted
  int64_t oldest_at = 0;           ///< unix seconds by its node's clock; 0: no server reports

  bool operator==(const FarmReports&) const = default;
};

/// The sums as the leader writes them for all (kReports, sealed): a thousand validators that each
/// read a thousand acknowledgements would cost etcd more than the rotation does.
struct ReportRecord {
  /// Unix ms by the leader's clock, but higher than that of every one that it has seen: an earlier
  /// one that somebody puts back shows.
  int64_t at = 0;
  FarmReports sums;

  bool operator==(const ReportRecord&) const = default;
};

/// What one node adds to the sums.
FarmReports report_of(const Ack& ack);

/// `sum` with what others add to it.
void add(FarmReports& sum, const FarmReports& more);

/// {servers, balancers, listeners, qlen_sum, qlen_least, qlen_unknown, backlog_sum,
/// fullest_quarters, any_no_cookie_bit, oldest_age_s}; what is not known is null. `now`: unix
/// seconds.
nlohmann::json to_json(const FarmReports& reports, int64_t now);

nlohmann::json to_json(const ReportRecord& record);
/// A later release may say more in it.
Result<ReportRecord> report_record_from(const nlohmann::json& object);

}  // namespace tfo::rotation
