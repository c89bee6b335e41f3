// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loader/config.h"
#include "loader/dataplane/dataplane.h"
#include "loader/keys/clock.h"
#include "loader/keys/pool.h"
#include "loader/keys/store.h"
#include "loader/network_namespace.h"
#include "loader/observe/view.h"
#include "loader/pool_store.h"
#include "loader/result.h"

namespace tfo {

using NamespaceFiles = std::map<std::string, std::shared_ptr<NetworkNamespace>>;  // by path

/// The key pools of one tfod and their changes. A change has two halves: prepare() does what can
/// fail and touches neither servers nor the data plane, commit() puts it in force.
class PoolSet {
 public:
  /// A pool with the servers that follow it.
  struct Spec {
    PoolConfig config;
    std::vector<std::shared_ptr<NetworkNamespace>> servers;
    OnDrift on_drift = OnDrift::repair;
    std::optional<FarmPart> part;  // of a pool of the store "etcd"
    bool operator==(const Spec&) const = default;
  };

  struct Plan {
    std::map<std::string, Spec> specs;
    /// Open stores of pools that are new, got another file, or changed and have no file to lock.
    std::map<std::string, std::unique_ptr<KeyStore>> stores;
    StagedCounter::VipNames vips;

    /// Takes back the key files that prepare() made. Only if none of their keys has been given to
    /// the data plane or a server.
    void abandon() const;
  };

  PoolSet(const Clock& clock, ConditionCallback callback);

  /// Before prepare(), if there are pools of the store "etcd"; outlives the set.
  void use_loop(EventLoop& loop) { loop_ = &loop; }

  /// Opens the stores that are not open yet; makes key files that do not exist (an error takes
  /// them back). `patience`: for the very first keys of pools of the store "etcd", in all.
  Result<Plan> prepare(const Config& config, const NamespaceFiles& namespaces,
                       std::chrono::seconds patience) const;

  /// Pools of the store "etcd" that prepare() would open, as their agents take them.
  std::vector<rotation::Settings> new_farm_pools(const Config& config,
                                                 const NamespaceFiles& namespaces) const;

  /// The ring that a pool will have after commit(), or null.
  const KeyRing* ring(const Plan& plan, const std::string& pool) const;
  const KeyRing* ring(const std::string& pool) const;

  /// Does commit() let this pool run on as it is? If not, its conditions are to be forgotten.
  bool keeps(const Plan& plan, const std::string& pool) const;

  /// `dataplane` may be null (a server without XDP) and must outlive the set. Servers get their
  /// keys here. A pool that cannot be opened again raises key_store_failed and is tried again by
  /// tick().
  void commit(Plan plan, Dataplane* dataplane);

  /// Does what is due; seconds until it wants to be called again.
  int64_t tick();

  KeyPool* find(const std::string& pool);
  const KeyPool* find(const std::string& pool) const;
  std::vector<std::string> names() const;
  std::vector<PoolView> view() const;
  /// Each becomes readable when tick() should be called before its time; good until commit().
  std::vector<int> event_fds() const;

 private:
  struct Entry {
    Spec spec;
    std::unique_ptr<KeyPool> pool;  // null: its store could not be opened
  };
  using Deadline = std::chrono::steady_clock::time_point;
  static std::map<std::string, Spec> specs_of(const Config& config,
                                              const NamespaceFiles& namespaces);
  Result<std::unique_ptr<KeyStore>> open_store(const Spec& spec, const KeyRing* before,
                                               Deadline patience_until) const;
  bool has_store(const std::string& name, const Spec& spec) const;
  void start(Entry& entry, std::unique_ptr<KeyStore> store);
  void reopen(Entry& entry);
  void check_keys(const KeyPool& pool) const;

  const Clock& clock_;
  ConditionCallback callback_;
  std::shared_ptr<StagedCounter> staged_;
  Dataplane* dataplane_ = nullptr;
  EventLoop* loop_ = nullptr;
  std::map<std::string, Entry> entries_;
};

}  // namespace tfo
