// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/explained.h"

#include <algorithm>

#include "tests/support/host_core.h"

namespace tfo::test {
namespace {

constexpr uint64_t kSecondInNs = 1'000'000'000;

/// The whole second that is before, at or after the world's clock as `not_after_ns` is; the clock
/// stands at a whole second.
int64_t not_after(uint64_t not_after_ns, uint64_t now_ns) {
  if (not_after_ns == UINT64_MAX) return 0;
  const auto seconds = static_cast<int64_t>(not_after_ns / kSecondInNs);
  return std::max<int64_t>(not_after_ns > now_ns ? seconds + 1 : seconds, 1);
}

/// What enforcing would do, as the core on the host has it: a revoked cookie never just passes.
uint32_t would_of(const Bytes& frame, const Verdict& verdict, const World& world) {
  return verdict.reason == TFO_COOKIE_REVOKED ? HostCore(world).act(frame).would
                                              : uint32_t{TFO_PASS};
}

}  // namespace

KeyRing loader_ring(const World& world, uint32_t slot) {
  KeyRing ring;
  const auto vip = std::ranges::find(world.vips, slot, &WorldVip::slot);
  if (vip == world.vips.end()) return ring;
  for (const WorldKey& key : world.pools.at(vip->pool)) {
    Generation generation;
    generation.id = ring.generations.size() + 1;
    generation.key = Key(key_bytes(key.text));
    generation.place = key.place;
    generation.not_after = not_after(key.not_after_ns, world.now_ns);
    ring.generations.push_back(generation);
  }
  return ring;
}

Explained::Explained(const Bytes& frame, const Verdict& verdict, const World& world)
    : Explained(frame, verdict, world, TFO_PASS, frame) {}

Explained::Explained(const Bytes& frame, const Verdict& verdict, const World& world,
                     tfo_action action, const Bytes& left)
    : frame_(frame), left_(left) {
  const EthernetFrame whole{.bytes = frame_, .wire_length = static_cast<uint32_t>(frame_.size())};
  const auto would = action == TFO_PASS ? would_of(frame, verdict, world) : uint32_t{action};
  const Judgement judgement{.reason = verdict.reason,
                            .verdict = action,
                            .would = static_cast<tfo_action>(would),
                            .slot = verdict.slot};
  result_ = explain({.frame = whole,
                     .config = load_config_of(world),
                     .ring = loader_ring(world, verdict.slot),
                     .now_ns = world.now_ns,
                     .judgement = judgement,
                     .left = left_});
}

}  // namespace tfo::test
