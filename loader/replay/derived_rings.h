// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "loader/config.h"
#include "loader/keys/derived_ring.h"
#include "loader/result.h"

namespace tfo {

/// The rings of derived pools at any time of the past: what a node with this secret and a right
/// clock had in force then.
class DerivedRings {
 public:
  /// Reads the secret of a pool whose store is "derived".
  Result<> add(const PoolConfig& pool);

  /// Pools whose rings at `unix_s` are others than at the call before, with their rings. A pool
  /// whose secret has no key for that time has an empty ring.
  std::map<std::string, KeyRing> at(int64_t unix_s);

 private:
  struct Pool {
    DerivedSecret secret;
    DerivedPolicy policy;
    int64_t from = 0;  // its ring holds in [from, until)
    int64_t until = 0;
  };
  std::map<std::string, Pool> pools_;
};

}  // namespace tfo
