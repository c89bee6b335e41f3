// SPDX-License-Identifier: BSD-2-Clause
#include "loader/pool_set.h"

#include <algorithm>
#include <chrono>

#include "loader/log.h"
#include "loader/pool_store.h"
#include "loader/rotation/etcd_store.h"

namespace tfo {
namespace {

/// Seconds, if no pool wants to be called earlier.
constexpr int64_t kLongestSleep = 30;

/// What the servers hold, if they all hold the same: a new store begins with that, and no cookie
/// out there is refused.
std::vector<Key> common_keys(const PoolSet::Spec& spec) {
  std::vector<Key> common;
  for (size_t i = 0; i < spec.servers.size(); ++i) {
    const auto sink = spec.servers[i]->key_sink();
    const auto held = sink ? (*sink)->held() : Result<std::vector<Key>>(tl::unexpected(Error{}));
    if (!held || (i > 0 && *held != common)) return {};
    common = *held;
  }
  return common;
}

/// What to do about a pool without keys.
std::string remedy_for(const std::string& store) {
  if (store == "derived") return "see key_store_failed or clock_unsure";
  if (store == "etcd") return "see store_unreachable and rotation_held";
  return "rotate or import keys";
}

PoolView view_of(const KeyPool& pool) {
  const PoolStatus status = pool.status();
  PoolView view{.name = status.name,
                .store = status.store,
                .state = std::string(to_string(status.phase)),
                .next_rotation = status.next_rotation,
                .missing = status.missing,
                .keys = {},
                .repairs = status.repairs};
  for (const Generation& generation : pool.ring().generations) {
    view.keys.push_back({.id = id_text(generation.id),
                         .fingerprint = generation.key.fingerprint(),
                         .place = std::string(to_string(generation.place)),
                         .created_at = generation.created_at,
                         .not_after = generation.not_after});
  }
  return view;
}

}  // namespace

PoolSet::PoolSet(const Clock& clock, ConditionCallback callback)
    : clock_(clock),
      callback_(std::move(callback)),
      staged_(std::make_shared<StagedCounter>(clock)) {}

Result<std::unique_ptr<KeyStore>> PoolSet::open_store(const Spec& spec, const KeyRing* before,
                                                      Deadline patience_until) const {
  return open_pool_store(spec.config, clock_,
                         {.host = common_keys(spec),
                          .before = before,
                          .staged = staged_,
                          .part = spec.part,
                          .loop = loop_,
                          .patience_until = patience_until});
}

void PoolSet::Plan::abandon() const {
  for (const auto& [name, store] : stores) store->abandon();
}

std::map<std::string, PoolSet::Spec> PoolSet::specs_of(const Config& config,
                                                       const NamespaceFiles& namespaces) {
  std::map<std::string, Spec> specs;
  for (const PoolConfig& pool : config.pools) specs[pool.name].config = pool;
  if (config.server && config.server->manage_sysctl) {
    for (const NamespaceConfig& ns : config.server->namespaces) {
      specs[ns.pool].servers.push_back(namespaces.at(ns.netns));
      specs[ns.pool].on_drift = config.server->on_drift;
    }
  }
  for (auto& [name, spec] : specs) {
    if (spec.config.store != StoreKind::kEtcd) continue;
    const bool balances = std::ranges::any_of(
        config.vips, [&pool = name](const VipConfig& vip) { return vip.pool == pool; });
    spec.part = {.farm = config.farm.value_or(FarmConfig()),
                 .balancer = balances && !config.interfaces.empty(),
                 .server = !spec.servers.empty()};
  }
  return specs;
}

Result<PoolSet::Plan> PoolSet::prepare(const Config& config, const NamespaceFiles& namespaces,
                                       std::chrono::seconds patience) const {
  const Deadline until = std::chrono::steady_clock::now() + patience;
  Plan plan;
  plan.specs = specs_of(config, namespaces);
  for (const VipConfig& vip : config.vips) plan.vips[vip.pool].insert(vip.name);
  for (const auto& [name, spec] : plan.specs) {
    if (has_store(name, spec)) continue;
    auto store = open_store(spec, ring(name), until);
    if (!store) {
      plan.abandon();
      return tl::unexpected(store.error());
    }
    plan.stores.emplace(name, std::move(*store));
  }
  return plan;
}

std::vector<rotation::Settings> PoolSet::new_farm_pools(const Config& config,
                                                        const NamespaceFiles& namespaces) const {
  std::vector<rotation::Settings> all;
  for (const auto& [name, spec] : specs_of(config, namespaces)) {
    if (spec.part && !has_store(name, spec)) all.push_back(farm_settings(spec.config, *spec.part));
  }
  return all;
}

bool PoolSet::has_store(const std::string& name, const Spec& spec) const {
  const auto known = entries_.find(name);
  if (known == entries_.end()) return false;
  const Spec& now = known->second.spec;
  if (spec.config.store != StoreKind::kFile) return known->second.pool && now == spec;
  // The same file cannot be opened twice (it is locked): commit() does that.
  return now.config.file == spec.config.file;
}

const KeyRing* PoolSet::ring(const Plan& plan, const std::string& pool) const {
  const auto fresh = plan.stores.find(pool);
  return fresh != plan.stores.end() ? &fresh->second->ring() : ring(pool);
}

const KeyRing* PoolSet::ring(const std::string& pool) const {
  const auto known = entries_.find(pool);
  if (known == entries_.end() || !known->second.pool) return nullptr;
  return &known->second.pool->ring();
}

bool PoolSet::keeps(const Plan& plan, const std::string& pool) const {
  const auto known = entries_.find(pool);
  const auto wanted = plan.specs.find(pool);
  return known != entries_.end() && known->second.pool && wanted != plan.specs.end() &&
         known->second.spec == wanted->second && !plan.stores.contains(pool);
}

void PoolSet::commit(Plan plan, Dataplane* dataplane) {
  dataplane_ = dataplane;
  staged_->set(std::move(plan.vips), dataplane);
  std::map<std::string, Entry> kept;
  for (auto& [name, entry] : entries_) {
    if (keeps(plan, name)) kept.emplace(name, std::move(entry));
  }
  entries_ = std::move(kept);  // the others free their files
  for (auto& [name, spec] : plan.specs) {
    if (entries_.contains(name)) continue;
    const auto store = plan.stores.find(name);
    Entry& entry = entries_[name];
    entry.spec = spec;
    if (store != plan.stores.end()) {
      start(entry, std::move(store->second));
    } else {
      reopen(entry);
    }
  }
}

void PoolSet::start(Entry& entry, std::unique_ptr<KeyStore> store) {
  const std::string& name = entry.spec.config.name;
  entry.pool = std::make_unique<KeyPool>(name, std::move(store), clock_, callback_);
  entry.pool->set_on_drift(entry.spec.on_drift);
  if (dataplane_ != nullptr) entry.pool->add_sink(dataplane_->key_sink(name));
  for (const auto& server : entry.spec.servers) {
    if (auto sink = server->key_sink()) {
      entry.pool->add_sink(std::move(*sink));
    } else {
      callback_({.id = "key_sink_failed",
                 .subject = name + "/" + server->label(),
                 .raised = true,
                 .evidence = sink.error().message});
    }
  }
  if (auto started = entry.pool->start(); !started) {
    log_error("{}", started.error().message);
    entry.pool.reset();
  }
}

void PoolSet::reopen(Entry& entry) {
  auto store = open_store(entry.spec, nullptr, std::chrono::steady_clock::now());
  callback_({.id = "key_store_failed",
             .subject = entry.spec.config.name,
             .raised = !store,
             .evidence = store ? "" : store.error().message});
  if (store) start(entry, std::move(*store));
}

int64_t PoolSet::tick() {
  int64_t next = kLongestSleep;
  for (auto& [name, entry] : entries_) {
    if (!entry.pool) reopen(entry);
    if (!entry.pool) {
      next = std::min(next, KeyPool::kRetry);
      continue;
    }
    next = std::min(next, entry.pool->tick());
    check_keys(*entry.pool);
  }
  return next;
}

void PoolSet::check_keys(const KeyPool& pool) const {
  const int64_t now = clock_.now().unix_s;
  const auto& keys = pool.ring().generations;
  const bool any = std::any_of(keys.begin(), keys.end(), [&](const Generation& generation) {
    return generation.not_after == 0 || generation.not_after > now;
  });
  const std::string remedy = remedy_for(pool.status().store);
  callback_({.id = "no_key",
             .subject = pool.name(),
             .raised = !any,
             .evidence = any ? "" : "every key is past its not_after: " + remedy});
}

KeyPool* PoolSet::find(const std::string& pool) {
  const auto known = entries_.find(pool);
  return known == entries_.end() ? nullptr : known->second.pool.get();
}

const KeyPool* PoolSet::find(const std::string& pool) const {
  const auto known = entries_.find(pool);
  return known == entries_.end() ? nullptr : known->second.pool.get();
}

std::vector<std::string> PoolSet::names() const {
  std::vector<std::string> all;
  all.reserve(entries_.size());
  for (const auto& [name, entry] : entries_) all.push_back(name);
  return all;
}

std::vector<int> PoolSet::event_fds() const {
  std::vector<int> all;
  for (const auto& [name, entry] : entries_) {
    const int fd = entry.pool ? entry.pool->event_fd() : -1;
    if (fd >= 0) all.push_back(fd);
  }
  return all;
}

std::vector<PoolView> PoolSet::view() const {
  std::vector<PoolView> all;
  for (const auto& [name, entry] : entries_) {
    if (!entry.pool) continue;
    all.push_back(view_of(*entry.pool));
    rotation::EtcdStore* farm = entry.pool->farm();
    if (farm == nullptr) continue;
    all.back().farm = farm->agent().tally();
    if (!farm->settings().balancer) continue;
    all.back().farm_reports = to_json(farm->agent().reports(), clock_.now().unix_s);
  }
  return all;
}

}  // namespace tfo
