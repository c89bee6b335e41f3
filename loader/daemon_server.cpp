// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>
#include <set>

#include "loader/daemon.h"
#include "loader/log.h"
#include "loader/rotation/etcd_store.h"

namespace tfo {
namespace {

/// Between boot and our start the kernel minted with a key that the farm does not know: whoever
/// got such a cookie is refused once.
bool minted_alone(const Before& before, const KeyRing* ring) {
  if (!before.server_bit || before.keys.empty() || ring == nullptr) return false;
  return ring->find(before.keys.front()) == nullptr;
}

}  // namespace

void Daemon::remember_servers(const Config& config, const NamespaceWatch::Files& files,
                              const std::function<const KeyRing*(const std::string& pool)>& ring) {
  if (!config.server || !config.server->manage_sysctl) return;
  const auto fresh = before_.remember(files);
  conditions_.set("server_state_failed", "", !fresh, fresh ? "" : fresh.error().message);
  std::set<std::string> unknown;
  for (const auto& [path, file] : files) {
    if (!fresh) unknown.insert(path);
  }
  for (const Before& one : fresh.value_or(std::vector<Before>())) unknown.insert(one.netns);
  namespaces_.not_ours_before(unknown);
  if (!fresh) return;
  for (const NamespaceConfig& ns : config.server->namespaces) {
    const auto at = std::find_if(fresh->begin(), fresh->end(),
                                 [&](const Before& one) { return one.netns == ns.netns; });
    if (at == fresh->end() || !minted_alone(*at, ring(ns.pool))) continue;
    log_warning(
        "namespace {}: Fast Open was on before tfod started, with key {} that pool {} does not "
        "know; its cookies are refused from now on. Leave bit 0x2 of tcp_fastopen to tfod "
        "(remove it from sysctl.d) and start tfod before the services",
        files.at(ns.netns)->label(), at->keys.front().fingerprint(), ns.pool);
  }
}

std::vector<Restored> Daemon::restore_servers() {
  if (!config_.server || !config_.server->manage_sysctl) return {};
  auto all = before_.restore(namespaces_.files());
  if (!all) {
    log_error("the servers were not restored: {}", all.error().message);
    return {{.netns = "*", .detail = all.error().message, .done = false}};
  }
  for (const Restored& one : *all) {
    if (one.done) log_info("namespace {} restored: {}", one.netns, one.detail);
    if (!one.done) log_error("namespace {} not restored: {}", one.netns, one.detail);
  }
  return std::move(*all);
}

PoolKeys Daemon::pool_keys(const std::string& pool) {
  KeyPool* found = pools_.find(pool);
  if (found == nullptr) return {};
  PoolKeys keys{.ring = &found->ring(), .in_force = found->status().missing.empty()};
  if (const rotation::EtcdStore* farm = found->farm()) {
    keys.may_open = farm->may_open();
    keys.keeps_bit = !farm->outcast();
  }
  return keys;
}

}  // namespace tfo
