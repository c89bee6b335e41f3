// SPDX-License-Identifier: BSD-2-Clause
#include "tools/farm_plan.h"

#include <fmt/format.h>

#include <vector>

namespace tfo {

namespace {

Result<Config> read_config(Context& context, const std::string& file) {
  auto config = load_config(file);
  if (config) return std::move(*config);
  for (const ConfigError& error : config.error()) report(context, Error{error.text()});
  return fail(fmt::format("{} cannot be used (see above); name another with --config FILE", file));
}

Result<FarmConfig> farm_of(const Config& config, const std::string& file) {
  if (config.farm) return *config.farm;
  return fail(fmt::format("{} has no \"farm\": this node shares no pool through etcd", file));
}

Result<const PoolConfig*> pool_of(const Config& config, const std::string& name) {
  std::vector<const PoolConfig*> shared;
  std::string names;
  for (const PoolConfig& pool : config.pools) {
    if (pool.store != StoreKind::kEtcd) continue;
    if (pool.name == name) return &pool;
    shared.push_back(&pool);
    names += " " + pool.name;
  }
  if (shared.empty()) return fail("no pool of the configuration has \"store\": \"etcd\"");
  if (!name.empty()) {
    return fail(fmt::format("no pool '{}' with \"store\": \"etcd\"; there are:{}", name, names));
  }
  if (shared.size() > 1) return fail("which pool? Name one of:" + names);
  return shared.front();
}

rotation::Policy policy_of(const PoolConfig& pool) {
  return {.interval = pool.interval.count(),
          .accept_generations = pool.accept_generations,
          .not_after = pool.not_after.count(),
          .deadline = pool.deadline.count(),
          .go_on_at_deadline = pool.go_on_at_deadline,
          .forget_after = pool.forget_after.count()};
}

}  // namespace

Result<FarmConfig> load_farm(Context& context, const std::string& config_file) {
  const auto config = read_config(context, config_file);
  if (!config) return tl::unexpected<Error>(config.error());
  return farm_of(*config, config_file);
}

Result<FarmPlan> load_plan(Context& context, const std::string& config_file,
                           const std::string& pool) {
  const auto config = read_config(context, config_file);
  if (!config) return tl::unexpected<Error>(config.error());
  const auto farm = farm_of(*config, config_file);
  if (!farm) return tl::unexpected<Error>(farm.error());
  const auto found = pool_of(*config, pool);
  if (!found) return tl::unexpected<Error>(found.error());
  return FarmPlan{*farm, (*found)->name, policy_of(**found)};
}

}  // namespace tfo
