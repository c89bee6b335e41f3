// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "loader/config.h"
#include "loader/dataplane/dataplane.h"
#include "loader/event_loop.h"
#include "loader/keys/clock.h"
#include "loader/keys/derived_clock.h"
#include "loader/keys/derived_ring.h"
#include "loader/keys/store.h"
#include "loader/result.h"
#include "loader/rotation/agent.h"

namespace tfo {

/// What a configuration says of a derived pool, as the keys' code takes it.
DerivedPolicy derived_policy(const PoolConfig& config);

/// Cookies that came under a pool's staged key, from the data plane's counters.
class StagedCounter {
 public:
  using VipNames = std::map<std::string, std::set<std::string>>;  // by pool

  explicit StagedCounter(const Clock& clock) : clock_(clock) {}

  /// Counts of before and after are not comparable. `dataplane` may be null.
  void set(VipNames vips, const Dataplane* dataplane);

  /// Nothing without a data plane, or if its counters cannot be read.
  std::optional<StagedWatch::Count> count(const std::string& pool);

 private:
  const Clock& clock_;
  VipNames vips_;
  const Dataplane* dataplane_ = nullptr;
  uint64_t epoch_ = 0;
  int64_t read_at_ = 0;  // unix seconds
  std::optional<Snapshot> snapshot_;
};

/// What this node does with a pool that the farm shares.
struct FarmPart {
  FarmConfig farm;
  bool balancer = false;
  bool server = false;

  bool operator==(const FarmPart&) const = default;
};

/// What a configuration says of an etcd pool, as the agent takes it.
rotation::Settings farm_settings(const PoolConfig& config, const FarmPart& part);

/// What opening a pool's store needs besides its configuration.
struct StoreSurroundings {
  std::vector<Key> host;            ///< keys that its servers hold all of them
  const KeyRing* before = nullptr;  ///< the ring that it replaces; null: none
  std::shared_ptr<StagedCounter> staged;
  std::optional<FarmPart> part;  ///< of a pool of the store "etcd"
  EventLoop* loop = nullptr;     ///< of a pool of the store "etcd"; outlives the store
  /// Until when a first word of etcd may be waited for.
  std::chrono::steady_clock::time_point patience_until;
};

/// Opens the store of a pool: its keys are there, or it is an error. The store counts as opened:
/// KeyPool::start() does not open it again.
Result<std::unique_ptr<KeyStore>> open_pool_store(const PoolConfig& config, const Clock& clock,
                                                  const StoreSurroundings& around);

}  // namespace tfo
