// SPDX-License-Identifier: BSD-2-Clause
#include "loader/pool_store.h"

#include "loader/keys/derived_store.h"
#include "loader/keys/file_store.h"

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
  std::vector<StoreTrouble> troubles() const override { return store_->troubles(); }
  int event_fd() const override { return store_->event_fd(); }

 private:
  std::unique_ptr<KeyStore> store_;
};

std::unique_ptr<KeyStore> make_store(const PoolConfig& config, int64_t now, const KeyRing* before,
                                     const std::shared_ptr<StagedCounter>& staged) {
  if (config.store == StoreKind::kDerived) {
    auto store = std::make_unique<DerivedStore>(
        DerivedStore::Files{.secret = config.secret, .state = config.file}, derived_policy(config),
        [staged, pool = config.name] { return staged->count(pool); });
    if (before != nullptr) store->inherit(*before, now);
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

Result<std::unique_ptr<KeyStore>> open_pool_store(const PoolConfig& config, const Clock& clock,
                                                  const std::vector<Key>& host,
                                                  const KeyRing* before,
                                                  const std::shared_ptr<StagedCounter>& staged) {
  const Moment now = clock.now();
  std::unique_ptr<KeyStore> store = make_store(config, now.unix_s, before, staged);
  if (auto opened = store->open(now, host); !opened) {
    return tl::unexpected(std::move(opened.error()).in("pools." + config.name));
  }
  return std::make_unique<OpenedStore>(std::move(store));
}

}  // namespace tfo
