// SPDX-License-Identifier: BSD-2-Clause
#include "loader/pool_store.h"

#include <functional>

#include "loader/keys/derived_store.h"
#include "loader/keys/file_store.h"
#include "loader/rotation/etcd_store.h"

namespace tfo {
namespace {

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
  bool waits_for_sinks() const override { return store_->waits_for_sinks(); }
  bool rotates_alone() const override { return store_->rotates_alone(); }
  std::vector<StoreTrouble> troubles() const override { return store_->troubles(); }
  int event_fd() const override { return store_->event_fd(); }
  rotation::EtcdStore* farm() override { return store_->farm(); }

 private:
  std::unique_ptr<KeyStore> store_;
};

std::unique_ptr<KeyStore> make_farm_store(const PoolConfig& config, const Clock& clock,
                                          const StoreSurroundings& around) {
  const rotation::Settings settings = farm_settings(config, around.part.value_or(FarmPart()));
  return std::make_unique<rotation::EtcdStore>(
      settings, rotation::EtcdStore::etcd(*around.loop, settings, clock), around.patience_until);
}

std::unique_ptr<KeyStore> make_store(const PoolConfig& config, const Clock& clock, int64_t now,
                                     const StoreSurroundings& around) {
  if (config.store == StoreKind::kEtcd) return make_farm_store(config, clock, around);
  if (config.store == StoreKind::kDerived) {
    auto store = std::make_unique<DerivedStore>(
        DerivedStore::Files{.secret = config.secret, .state = config.file}, derived_policy(config),
        [staged = around.staged, pool = config.name] { return staged->count(pool); });
    if (around.before != nullptr) store->inherit(*around.before, now);
    return store;
  }
  const RotationPolicy policy{.interval = config.interval.count(),
                              .accept_generations = config.accept_generations,
                              .not_after = config.not_after.count()};
  return std::make_unique<FileStore>(config.file, Rotation(policy));
}

}  // namespace

DerivedPolicy derived_policy(const PoolConfig& config) {
  return {.interval = config.interval.count(),
          .max_skew_ms = config.max_skew.count(),
          .accept_generations = config.accept_generations,
          .not_after = config.not_after.count()};
}

void StagedCounter::set(VipNames vips, const Dataplane* dataplane) {
  vips_ = std::move(vips);
  dataplane_ = dataplane;
  snapshot_.reset();
  ++epoch_;
}

std::optional<StagedWatch::Count> StagedCounter::count(const std::string& pool) {
  if (dataplane_ == nullptr) return std::nullopt;
  const int64_t now = clock_.now().unix_s;
  if (!snapshot_ || now != read_at_) {
    auto counters = dataplane_->counters();
    if (!counters) return std::nullopt;
    snapshot_ = std::move(*counters);
    read_at_ = now;
  }
  StagedWatch::Count count{.epoch = epoch_, .staged = 0};
  for (const VipCounters& vip : snapshot_->vips) {
    if (vips_[pool].contains(vip.name))
      count.staged += reason_total(vip.counters, TFO_COOKIE_STAGED);
  }
  return count;
}

rotation::Settings farm_settings(const PoolConfig& config, const FarmPart& part) {
  rotation::Settings settings{.etcd = part.farm.etcd,
                              .farm = part.farm.name,
                              .pool = config.name,
                              .node = part.farm.node,
                              .balancer = part.balancer,
                              .server = part.server,
                              .policy = {.interval = config.interval.count(),
                                         .accept_generations = config.accept_generations,
                                         .not_after = config.not_after.count(),
                                         .deadline = config.deadline.count(),
                                         .go_on_at_deadline = config.go_on_at_deadline,
                                         .forget_after = config.forget_after.count()},
                              .farm_key_file = part.farm.key_file,
                              .state_file = config.file,
                              .lease = part.farm.lease,
                              .fresh_for = config.fresh_for.count()};
  // Nodes of one farm spread over etcd's members.
  settings.etcd.first_endpoint = std::hash<std::string>()(part.farm.node);
  return settings;
}

Result<std::unique_ptr<KeyStore>> open_pool_store(const PoolConfig& config, const Clock& clock,
                                                  const StoreSurroundings& around) {
  const Moment now = clock.now();
  std::unique_ptr<KeyStore> store = make_store(config, clock, now.unix_s, around);
  if (auto opened = store->open(now, around.host); !opened) {
    return tl::unexpected(std::move(opened.error()).in("pools." + config.name));
  }
  return std::make_unique<OpenedStore>(std::move(store));
}

}  // namespace tfo
