// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "loader/config.h"
#include "loader/dataplane/guard_tables.h"
#include "loader/guard/egress_proof.h"
#include "loader/guard/handshake_ring.h"
#include "loader/guard/history.h"
#include "loader/guard/view.h"
#include "loader/keys/clock.h"
#include "loader/observe/conditions.h"

namespace tfo {

class Dataplane;

/// What user space does for the guard while tfod runs. The programs need nothing of it: they hold
/// clients to their limits with no daemon alive.
class GuardKeeper {
 public:
  /// TCPFastOpenListenOverflow of all servers of a pool that are known of, added up.
  using Overflows = std::function<std::optional<uint64_t>(const std::string& pool)>;

  /// How long after the last overflow what was opened counts: as long as the kernel holds a child.
  static constexpr int64_t kEvaded = 130;  // seconds
  /// Networks that are shown, and changes that the journal gets between two ticks.
  static constexpr size_t kMostShown = 256;
  static constexpr size_t kMostTold = 16;
  /// Client networks, of all VIPs, whose failed handshakes are counted; and how many of them it
  /// takes in two minutes until one is among these.
  static constexpr size_t kMostFailing = 256;
  static constexpr uint64_t kFailing = 8;

  GuardKeeper(Conditions& conditions, const Clock& clock)
      : conditions_(conditions), clock_(clock) {}

  /// Every few seconds: what has ended goes from the operator's list, guard_active, guard_blind,
  /// guard_evaded and egress_blind are judged anew.
  Result<> tick(const Dataplane& dataplane, const Config& config, const Overflows& overflows);

  /// The programs have told something.
  Result<> read_events(const Dataplane& dataplane);

  /// As of the last tick.
  const std::vector<GuardVipView>& view() const { return view_; }

  /// guard-list, guard-release {network}, guard-deny and guard-allow {network, seconds}; without
  /// seconds an allowance has no end.
  Result<nlohmann::json> command(const std::string& name, const nlohmann::json& request,
                                 const Dataplane& dataplane, const Config& config);

 private:
  /// Of one pool's servers.
  struct Evasion {
    std::optional<uint64_t> overflow;
    int64_t until = 0;       // boot seconds: guard_evaded
    int64_t full_until = 0;  // since the last overflow of whatever cause
  };

  Result<> look_at(const Dataplane& dataplane, const VipConfig& vip);
  void count_failed(const Dataplane& dataplane);
  Result<> prove_egress(const Dataplane& dataplane);
  void say_egress(const Config& config);
  void judge_evasion(const Config& config, const Overflows& overflows);
  Result<> mark_evasion(const Dataplane& dataplane, const Config& config);
  Result<> settle(const Dataplane& dataplane);
  void tell(const GuardChange& change);
  GuardChange change_of(const GuardedNetwork& guarded, const Dataplane& dataplane) const;
  int64_t unix_of(uint64_t boot_ns) const;

  Result<nlohmann::json> list(const Dataplane& dataplane) const;
  Result<nlohmann::json> release(const ClientNetwork& network, const Dataplane& dataplane,
                                 const Config& config);
  Result<nlohmann::json> rule(const ClientNetwork& network, tfo_guard_list_verdict verdict,
                              const nlohmann::json& request, const Dataplane& dataplane);

  Conditions& conditions_;
  const Clock& clock_;
  GuardHistory history_;
  std::map<std::string, Evasion> evasions_;    // by pool
  std::map<std::string, EgressProof> proofs_;  // by VIP
  std::map<std::string, FailedHandshakes> failed_;
  std::map<std::pair<std::string, std::string>, FailedHandshakes> failing_;  // by VIP and network
  std::vector<GuardVipView> view_;
  size_t told_ = 0;  // to the journal, or left out, since the last tick
};

}  // namespace tfo
