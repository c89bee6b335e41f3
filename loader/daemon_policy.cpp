// SPDX-License-Identifier: BSD-2-Clause
// What the VIPs' policies need to know of the servers, and what the programs tell of the policies.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <ctime>
#include <iterator>
#include <map>
#include <string_view>

#include "loader/daemon.h"
#include "loader/rotation/etcd_store.h"
#include "loader/server/server_bit.h"
#include "loader/server_facts.h"

namespace tfo {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;

uint64_t boot_ns() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * kSecondNs + static_cast<uint64_t>(now.tv_nsec);
}

bool demotes(const VipConfig& vip) {
  return vip.mode != TFO_OBSERVE && vip.policy.on_invalid != TFO_PASS;
}

std::vector<NamespaceConfig> servers_of(const Config& config, const std::string& pool) {
  std::vector<NamespaceConfig> servers;
  if (!config.server) return servers;
  std::ranges::copy_if(config.server->namespaces, std::back_inserter(servers),
                       [&](const NamespaceConfig& one) { return one.pool == pool; });
  return servers;
}

std::string unsafe_demote_text(const VipConfig& vip) {
  return fmt::format(
      "a server of pool {} has bit {:#x} in net.ipv4.tcp_fastopen, and takes SYN data without a "
      "cookie, demoted or not: what would be demoted passes until that bit is cleared (`tfoctl "
      "node "
      "list` shows the farm's servers){}",
      vip.pool, kFastopenNoCookie,
      vip.guard.on ? "; so does what the guard refuses: it holds nobody to a limit, denies nobody "
                     "and stops no copy"
                   : "");
}

/// `found`: whose bit it is.
Result<> unsafe_demote(size_t number, const VipConfig& vip, const std::string& found) {
  return fail(fmt::format(
      "vips[{}].on_invalid: cannot be \"{}\" for VIP \"{}\": {}, and with bit {:#x} a server takes "
      "SYN data without a cookie, demoted or not; clear that bit, or give \"on_invalid\": \"pass\"",
      number, vip.policy.on_invalid == TFO_DROP ? "drop" : "demote", vip.name, found,
      kFastopenNoCookie));
}

}  // namespace

/// A demoted SYN's data would be taken all the same, and the server would mint no fresh cookie.
Result<> Daemon::check_demote(const Config& config, const NamespaceWatch::Files& files) const {
  for (size_t i = 0; i < config.vips.size(); ++i) {
    const VipConfig& vip = config.vips[i];
    if (!demotes(vip)) continue;
    for (const NamespaceConfig& server : servers_of(config, vip.pool)) {
      const auto file = files.find(server.netns);
      if (file == files.end()) continue;
      const auto bits = file->second->fastopen_bits();
      if (!bits || (*bits & kFastopenNoCookie) == 0) continue;
      return unsafe_demote(i, vip,
                           fmt::format("net.ipv4.tcp_fastopen of {} is {:#x}",
                                       server.netns.empty() ? "this host" : server.netns, *bits));
    }
    // Those of other hosts are known once tfod runs: a start finds out later (show_unsafe_demote).
    if (farm_reports(vip.pool).any_no_cookie_bit) {
      return unsafe_demote(i, vip,
                           fmt::format("a server of pool {} has bit {:#x} in net.ipv4.tcp_fastopen "
                                       "(see `tfoctl node list`)",
                                       vip.pool, kFastopenNoCookie));
    }
  }
  return {};
}

/// Asked once for each pool: thousands of VIPs may follow one. See server_facts_of().
Daemon::HeardOfServers Daemon::heard_of_servers() const {
  struct Pool {
    bool shared = false;
    rotation::FarmReports reports = {};
    size_t followers = 0;
  };
  std::map<std::string_view, Pool> pools;
  for (const VipConfig& vip : config_.vips) {
    const auto [pool, is_new] = pools.try_emplace(vip.pool);
    ++pool->second.followers;
    if (!is_new) continue;
    const KeyPool* keys = pools_.find(vip.pool);
    pool->second.shared = keys != nullptr && keys->farm() != nullptr;
    pool->second.reports = farm_reports(vip.pool);
  }
  HeardOfServers all;
  all.reserve(config_.vips.size());
  for (const VipConfig& vip : config_.vips) {
    const Pool& pool = pools.at(vip.pool);
    all.emplace_back();
    if (pool.shared && !has_heard(pool.reports)) continue;
    all.back() =
        server_facts_of(vip, namespaces_.listeners(vip.pool), pool.reports, pool.followers);
  }
  return all;
}

/// Nothing, unless the pool is shared through etcd.
rotation::FarmReports Daemon::farm_reports(const std::string& pool) const {
  const KeyPool* keys = pools_.find(pool);
  const rotation::EtcdStore* farm = keys == nullptr ? nullptr : keys->farm();
  return farm == nullptr ? rotation::FarmReports() : farm->agent().reports();
}

void Daemon::review_policies() {
  if (!dataplane_) return;
  Result<> done;
  const HeardOfServers heard = heard_of_servers();
  for (size_t i = 0; i < heard.size(); ++i) {
    // Until the farm is heard of, what the maps hold stays in force.
    const std::optional<ServerFacts>& facts = heard[i];
    if (done && facts) done = dataplane_->set_servers(config_.vips[i], *facts);
  }
  conditions_.set("dataplane_failed", "policies", !done, done ? "" : done.error().message);
  show_disarmed(*dataplane_);
  show_unsafe_demote(heard);
}

/// The programs demote nothing there; see TFO_POLICY_NO_DEMOTE.
void Daemon::show_unsafe_demote(const HeardOfServers& heard) {
  constexpr const char* kId = "demote_unsafe";
  for (const Condition& condition : conditions_.list()) {
    const bool known = std::ranges::any_of(
        config_.vips, [&](const VipConfig& vip) { return vip.name == condition.subject; });
    if (condition.id == kId && !known) conditions_.clear(kId, condition.subject);
  }
  for (size_t i = 0; i < heard.size(); ++i) {
    const VipConfig& vip = config_.vips[i];
    const std::optional<ServerFacts>& facts = heard[i];
    if (!facts) continue;
    const bool unsafe = facts->no_cookie && vip.mode != TFO_OBSERVE;
    conditions_.set(kId, vip.name, unsafe, unsafe ? unsafe_demote_text(vip) : "");
  }
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
    conditions_.set(kId, vip.name, drop_disarmed(*trigger, boot_ns()),
                    fmt::format("invalid cookies came, and no valid one for 60 s: they are demoted "
                                "instead of dropped, since the keys of pool {} may be the wrong "
                                "ones (`tfoctl key audit` compares them with the servers')",
                                vip.pool));
  }
}

}  // namespace tfo
