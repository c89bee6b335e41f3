// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "bpf/tfo_abi.h"
#include "loader/config.h"

namespace tfo {

/// SYNs a second that may prove nothing, if neither the configuration nor a server says how many
/// its SYN queues bear: a listener with a backlog of 1024 bears about a hundred.
inline constexpr unsigned kUnprovenRate = 100;

/// The rate that is in force: what is configured, else what is known of the servers (`known`: the
/// sum of each one's smallest backlog / 20), else kUnprovenRate.
unsigned unproven_rate(const PolicyConfig& config, std::optional<unsigned> known = {});

/// The rate above which invalid cookies are dropped: never above unproven_rate().
unsigned drop_above(const PolicyConfig& config, std::optional<unsigned> known = {});

/// What user space knows of a VIP's servers; see struct tfo_policy.
struct ServerFacts {
  std::optional<unsigned> unproven_rate;   // sum of each one's least backlog / 20; none: unknown
  std::optional<uint64_t> fastopen_limit;  // sum of each one's least queue; none: unknown
  std::optional<uint64_t> fastopen_least;  // the least of those; none: it is the only one
  unsigned balancers = 1;                  // nodes that share them
  bool no_cookie = false;                  // one of them takes SYN data without a cookie

  bool operator==(const ServerFacts&) const = default;
};

/// Handshakes that may be open, by enum tfo_guard_level; 0: no limit, since neither this level is
/// configured nor one that it goes by, and the servers' queues are not known. Of this node's share
/// of those all clients together get one half: that supposes that connections spread evenly. One
/// network (/24, /64) gets an eighth of what the least server holds, at least 8, since all of its
/// connections may come to one server, by chance or by choice. A site (/48) gets twice what a
/// network does, an address a quarter of it, but 8 where that is no more than half of it: so one
/// that holds all it can, and half as much again before it is told from its neighbours, leaves them
/// room. No default is above the limit of what holds it, nor below a given one of what it holds.
using GuardLimits = std::array<unsigned, TFO_LEVELS>;
GuardLimits guard_limits(const GuardConfig& config, const ServerFacts& servers);

/// What the programs are told of a VIP.
tfo_policy kernel_policy(const PolicyConfig& config, const ServerFacts& servers);

/// What the guard is told, guard_limits() among it.
tfo_guard kernel_guard(const VipConfig& vip, const ServerFacts& servers);

/// As long as nothing was heard of the servers: `guard` and `policy`, made without, take over what
/// the maps held before (a tfod that starts finds what the last one knew), but for what the
/// configuration gives.
void keep_facts(const VipConfig& vip, const tfo_guard& guard_before,
                const tfo_policy& policy_before, tfo_guard& guard, tfo_policy& policy);

/// Is dropping wanted and not armed (tfo_is_armed() of bpf/trigger.h)? So until 60 s after the last
/// cookie that ought to have been dropped, or the first one that was valid. Boot time.
bool drop_disarmed(const tfo_trigger& trigger, uint64_t now_ns);

/// TFO_VIP_* of its rows.
uint8_t vip_flags(const VipConfig& vip);

/// Its share in mode canary, of 10,000.
uint16_t canary_share(const VipConfig& vip);

}  // namespace tfo
