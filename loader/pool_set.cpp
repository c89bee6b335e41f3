// SPDX-License-Identifier: BSD-2-Clause
#include "loader/pool_set.h"

#include <algorithm>

#include "loader/keys/file_store.h"
#include "loader/log.h"

namespace tfo {
namespace {

/// Seconds, if no pool wants to be called earlier.
constexpr int64_t kLongestSleep = 30;

/// A store that was opened ahead of its pool, so that start-up and reload know that there are keys
/// before anything on the wire is changed.
class OpenedStore : public KeyStore {
 public:
  explicit OpenedStore(std::unique_ptr<KeyStore> store) : store_(std::move(store)) {}

  std::string kind() const override { return store_->kind(); }
  Result<> open(const Moment&, const std::vector<Key>&) override { return {}; }
  void abandon() override { store_->abandon(); }
  const KeyRing& ring() const override { return store_->ring(); }
  Result<bool> step(const Moment& now, const Confirmation& confirmed) override {
    return store_->step(now, confirmed);
  }
  Result<> rotate(const Moment& now) override { return store_->rotate(now); }
  Result<> import(const Moment& now, const std::vector<Key>& keys) override {
    return store_->import(now, keys);
  }
  std::optional<int64_t> next_wakeup() const override { return store_->next_wakeup(); }
  std::optional<int64_t> next_rotation() const override { return store_->next_rotation(); }
  int event_fd() const override { return store_->event_fd(); }

 private:
  std::unique_ptr<KeyStore> store_;
};

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

Result<std::unique_ptr<KeyStore>> open_store(const PoolSet::Spec& spec, const Clock& clock) {
  const PoolConfig& config = spec.config;
  const RotationPolicy policy{.interval = config.interval.count(),
                              .accept_generations = config.accept_generations,
                              .not_after = config.not_after.count()};
  std::unique_ptr<KeyStore> store = std::make_unique<FileStore>(config.file, Rotation(policy));
  if (auto opened = store->open(clock.now(), common_keys(spec)); !opened) {
    return tl::unexpected(std::move(opened.error()).in("pools." + config.name));
  }
  return std::make_unique<OpenedStore>(std::move(store));
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
    : clock_(clock), callback_(std::move(callback)) {}

void PoolSet::Plan::abandon() const {
  for (const auto& [name, store] : stores) store->abandon();
}

Result<PoolSet::Plan> PoolSet::prepare(const Config& config,
                                       const NamespaceFiles& namespaces) const {
  Plan plan;
  for (const PoolConfig& pool : config.pools) plan.specs[pool.name].config = pool;
  if (config.server && config.server->manage_sysctl) {
    for (const NamespaceConfig& ns : config.server->namespaces) {
      plan.specs[ns.pool].servers.push_back(namespaces.at(ns.netns));
      plan.specs[ns.pool].on_drift = config.server->on_drift;
    }
  }
  for (const auto& [name, spec] : plan.specs) {
    const auto known = entries_.find(name);
    // The same file cannot be opened twice (it is locked): commit() does that.
    if (known != entries_.end() && known->second.spec.config.file == spec.config.file) continue;
    auto store = open_store(spec, clock_);
    if (!store) {
      plan.abandon();
      return tl::unexpected(store.error());
    }
    plan.stores.emplace(name, std::move(*store));
  }
  return plan;
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
  auto store = open_store(entry.spec, clock_);
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
  callback_({.id = "no_key",
             .subject = pool.name(),
             .raised = !any,
             .evidence = any ? "" : "every key is past its not_after: rotate or import keys"});
}

KeyPool* PoolSet::find(const std::string& pool) {
  const auto known = entries_.find(pool);
  return known == entries_.end() ? nullptr : known->second.pool.get();
}

std::vector<std::string> PoolSet::names() const {
  std::vector<std::string> all;
  all.reserve(entries_.size());
  for (const auto& [name, entry] : entries_) all.push_back(name);
  return all;
}

std::vector<PoolView> PoolSet::view() const {
  std::vector<PoolView> all;
  for (const auto& [name, entry] : entries_) {
    if (entry.pool) all.push_back(view_of(*entry.pool));
  }
  return all;
}

}  // namespace tfo
