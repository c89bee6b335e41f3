// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/ring_writer.h"

#include <sodium.h>

#include <algorithm>

namespace tfo {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

uint64_t boot_deadline(int64_t not_after, int64_t boot_offset_ns) {
  if (not_after == 0 || not_after > INT64_MAX / kSecond) return UINT64_MAX;
  return static_cast<uint64_t>(std::max<int64_t>(not_after * kSecond - boot_offset_ns, 0));
}

/// Which cookies are renewed, to which generation, and until when. Nothing, where the target is no
/// key that could be accepted.
void fill_renewal(const KeyRing& ring, int64_t boot_offset_ns, tfo_ring& result) {
  const Renewal& renewal = ring.renewal;
  const Generation* target = renewal.target == 0 ? nullptr : ring.find(renewal.target);
  if (target == nullptr || target->place == TFO_PLACE_REVOKED) return;
  for (size_t i = 0; i < ring.generations.size(); ++i) {
    const Generation& generation = ring.generations[i];
    const bool held = std::ranges::find(renewal.held, generation.id) != renewal.held.end();
    if (held || &generation == target || generation.place == TFO_PLACE_REVOKED) continue;
    result.renew = static_cast<__u16>(result.renew | 1U << i);
  }
  if (result.renew == 0) return;
  result.target = static_cast<__u16>(target - ring.generations.data());
  result.renew_until_ns = boot_deadline(renewal.until, boot_offset_ns);
}

}  // namespace

Result<tfo_ring> kernel_ring(const KeyRing& ring, int64_t boot_offset_ns) {
  if (ring.generations.size() > TFO_MAX_GENERATIONS) {
    return fail("a ring of " + std::to_string(ring.generations.size()) + " keys, at most " +
                std::to_string(TFO_MAX_GENERATIONS) + " are possible");
  }
  tfo_ring result{};
  for (const auto& generation : ring.generations) {
    tfo_generation& to = result.generation[result.count++];
    to.k0 = generation.key.k0();
    to.k1 = generation.key.k1();
    to.place = generation.place;
    to.not_after_ns = boot_deadline(generation.not_after, boot_offset_ns);
  }
  fill_renewal(ring, boot_offset_ns, result);
  result.fresh_until_ns = boot_deadline(ring.fresh_until, boot_offset_ns);
  return result;
}

void wipe_ring(tfo_ring& ring) { sodium_memzero(&ring, sizeof(ring)); }

Result<> RingWriter::replace(uint32_t pool, const tfo_ring& ring) {
  auto waited = grace_->wait_since(flipped_[pool]);
  if (!waited) return waited;
  const uint32_t idle = 1 - maps_->control.pool_side(pool);
  auto written = maps_->rings.set(pool * 2 + idle, ring);
  if (!written) return written;
  flipped_[pool] = grace_->now();
  maps_->control.set_pool_side(pool, idle);
  return {};
}

Result<tfo_ring> RingWriter::live(uint32_t pool) const {
  return maps_->rings.get(pool * 2 + maps_->control.pool_side(pool));
}

Result<> RingWriter::clear(uint32_t pool) {
  auto first = maps_->rings.set(pool * 2, tfo_ring{});
  if (!first) return first;
  return maps_->rings.set(pool * 2 + 1, tfo_ring{});
}

}  // namespace tfo
