// SPDX-License-Identifier: BSD-2-Clause
#include "loader/replay/derived_rings.h"

#include "loader/pool_store.h"

namespace tfo {

Result<> DerivedRings::add(const PoolConfig& pool) {
  auto secret = DerivedSecret::load(pool.secret);
  if (!secret) return tl::unexpected(std::move(secret).error().in("pool \"" + pool.name + "\""));
  pools_.insert_or_assign(pool.name,
                          Pool{.secret = std::move(*secret), .policy = derived_policy(pool)});
  return {};
}

std::map<std::string, KeyRing> DerivedRings::at(int64_t unix_s) {
  std::map<std::string, KeyRing> changed;
  for (auto& [name, pool] : pools_) {
    if (unix_s >= pool.from && unix_s < pool.until) continue;
    pool.from = unix_s;
    pool.until = next_derived_moment(pool.policy, unix_s);
    const auto half = DerivedHalf::at(pool.policy.interval, unix_s);
    auto ring = derived_ring(pool.secret, pool.policy, half);
    if (ring) ring->renewal = derived_renewal(pool.secret, pool.policy, unix_s);
    changed.emplace(name, ring ? std::move(*ring) : KeyRing());
  }
  return changed;
}

}  // namespace tfo
