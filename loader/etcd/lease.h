// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "loader/etcd/client.h"

namespace tfo::etcd {

/// A promise of etcd's to keep what is attached to it until nobody has renewed it for `ttl`.
struct Lease {
  int64_t id = 0;
  std::chrono::seconds ttl{0};  ///< what etcd grants; never less than asked for
};

/// `id` 0: etcd chooses one. With an id of one's own (random, above 0), a grant whose outcome is
/// not known can be repeated: kRefused with code 9 then says that it is there.
Call lease_grant(Client& client, std::chrono::seconds ttl, int64_t id,
                 std::function<void(Outcome<Lease>)> callback);

/// One beat, for one lease. There is no thread that goes on beating: whoever holds the lease sends
/// this as long as it is well. Nothing: etcd no longer has the lease, and what was attached to it
/// is gone.
Call lease_keepalive(Client& client, int64_t id,
                     std::function<void(Outcome<std::optional<Lease>>)> callback);

/// Ends it, and all that is attached to it. kNotFound: it had ended before.
Call lease_revoke(Client& client, int64_t id, std::function<void(Outcome<Header>)> callback);

}  // namespace tfo::etcd
