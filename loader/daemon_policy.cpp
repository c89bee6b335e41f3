// SPDX-License-Identifier: BSD-2-Clause
// What the VIPs' policies need to know of the servers, and what the programs tell of the policies.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <set>

#include "loader/daemon.h"
#include "loader/server/server_bit.h"

namespace tfo {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kDisarmedFor = 60 * kSecond;  // after the last cookie that ought to have gone
constexpr uint64_t kBacklogShare = 20;           // unproven SYNs a second: sum of backlogs / 20

uint64_t boot_ns() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * kSecond + static_cast<uint64_t>(now.tv_nsec);
}

bool demotes(const VipConfig& vip) {
  return vip.mode != TFO_OBSERVE && vip.policy.on_invalid != TFO_PASS;
}

/// Whether dropping is wanted and not armed; see tfo_is_armed() in bpf/trigger.h.
bool is_disarmed(const tfo_trigger& trigger, uint64_t now_ns) {
  return trigger.disarmed_ns != 0 && trigger.disarmed_ns > trigger.proved_ns &&
         now_ns < trigger.disarmed_ns + kDisarmedFor;
}

}  // namespace

/// A demoted SYN's data would be taken all the same, and the server would mint no fresh cookie.
Result<> Daemon::check_demote(const Config& config, const NamespaceWatch::Files& files) {
  if (!config.server) return {};
  for (size_t i = 0; i < config.vips.size(); ++i) {
    const VipConfig& vip = config.vips[i];
    if (!demotes(vip)) continue;
    for (const NamespaceConfig& server : config.server->namespaces) {
      const auto file = files.find(server.netns);
      if (server.pool != vip.pool || file == files.end()) continue;
      const auto bits = file->second->fastopen_bits();
      if (!bits || (*bits & kFastopenNoCookie) == 0) continue;
      return fail(fmt::format(
          "vips[{}].on_invalid: cannot be \"{}\" for VIP \"{}\": net.ipv4.tcp_fastopen of {} is "
          "{:#x}, and with bit {:#x} a server takes SYN data without a cookie, demoted or not; "
          "clear that bit, or give \"on_invalid\": \"pass\"",
          i, vip.policy.on_invalid == TFO_DROP ? "drop" : "demote", vip.name,
          server.netns.empty() ? "this host" : server.netns, *bits, kFastopenNoCookie));
    }
  }
  return {};
}

/// Of this host's own servers.
ServerFacts Daemon::server_facts(const std::string& pool) const {
  ServerFacts facts;
  uint64_t backlogs = 0;
  for (const ListenerReport* report : namespaces_.listeners(pool)) {
    backlogs += report->backlog_sum();
    if (const auto limit = report->fastopen_limit_sum()) {
      facts.fastopen_limit = facts.fastopen_limit.value_or(0) + *limit;
    }
    facts.no_cookie = facts.no_cookie || (report->fastopen_bits & kFastopenNoCookie) != 0;
  }
  if (backlogs != 0) {
    facts.unproven_rate =
        static_cast<unsigned>(std::clamp<uint64_t>(backlogs / kBacklogShare, 1, UINT32_MAX));
  }
  return facts;
}

void Daemon::review_policies() {
  if (!dataplane_) return;
  Result<> done;
  std::set<std::string> pools;
  for (const VipConfig& vip : config_.vips) pools.insert(vip.pool);
  for (const std::string& pool : pools) {
    if (done) done = dataplane_->set_servers(config_.vips, pool, server_facts(pool));
  }
  conditions_.set("dataplane_failed", "policies", !done, done ? "" : done.error().message);
  show_disarmed(*dataplane_);
}

void Daemon::show_disarmed(const Dataplane& dataplane) {
  constexpr const char* kId = "drop_disarmed";
  for (const Condition& condition : conditions_.list()) {
    const bool known = std::ranges::any_of(config_.vips, [&](const VipConfig& vip) {
      return vip.name == condition.subject && vip.policy.on_invalid == TFO_DROP;
    });
    if (condition.id == kId && !known) conditions_.clear(kId, condition.subject);
  }
  for (const VipConfig& vip : config_.vips) {
    if (vip.policy.on_invalid != TFO_DROP) continue;
    const auto trigger = dataplane.trigger(vip.name);
    if (!trigger) continue;
    conditions_.set(kId, vip.name, is_disarmed(*trigger, boot_ns()),
                    fmt::format("invalid cookies came, and no valid one for 60 s: they are demoted "
                                "instead of dropped, since the keys of pool {} may be the wrong "
                                "ones (`tfoctl key audit` compares them with the servers')",
                                vip.pool));
  }
}

}  // namespace tfo
