// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "loader/dataplane/grace.h"
#include "loader/dataplane/map_set.h"
#include "loader/keys/ring.h"

namespace tfo {

/// A ring as packets read it. `boot_offset_ns` is CLOCK_REALTIME - CLOCK_BOOTTIME: it turns the
/// unix seconds of not_after and Renewal::until into boot time; without one there is no end.
/// Renewed is every generation that is neither held nor revoked. Holds secrets: wipe it with
/// wipe_ring(). Fails if the ring has more than TFO_MAX_GENERATIONS keys.
Result<tfo_ring> kernel_ring(const KeyRing& ring, int64_t boot_offset_ns);

void wipe_ring(tfo_ring& ring);

/// Replaces rings under running packets: the new one is built on the idle side, made live by one
/// store, and that side's partner is not touched before a grace period has passed.
class RingWriter {
 public:
  RingWriter(const MapSet& maps, GracePeriod& grace)
      : maps_(&maps), grace_(&grace), flipped_(TFO_MAX_POOLS, 0) {}

  /// `pool` is below TFO_MAX_POOLS.
  Result<> replace(uint32_t pool, const tfo_ring& ring);

  /// The ring that packets see. Holds secrets.
  Result<tfo_ring> live(uint32_t pool) const;

  /// Wipes both sides. Only for a pool that no packet has looked at for a grace period.
  Result<> clear(uint32_t pool);

 private:
  const MapSet* maps_;
  GracePeriod* grace_;
  std::vector<uint64_t> flipped_;  // GracePeriod::now() of the last flip, by pool
};

}  // namespace tfo
