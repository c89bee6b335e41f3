// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/support/reference.h"

struct tfo_flow;    // bpf/cookie.h
struct tfo_frame;   // bpf/core.h
struct tfo_packet;  // bpf/core.h

namespace tfo::test {

/// The pure core of bpf/ compiled for the host, joined as the XDP program joins it; the maps are
/// the world's VIPs and pools.
class HostCore {
 public:
  explicit HostCore(const World& world);
  Verdict classify(View bytes) { return act(bytes).verdict; }
  /// What becomes of the frame, too. Rates are remembered from one frame to the next.
  Treatment act(View bytes);

 private:
  const WorldVip* find(const tfo_flow& flow, uint16_t port) const;
  int check_cookie(const tfo_frame& frame, tfo_packet& packet, const tfo_flow& flow,
                   const tfo_ring& ring) const;
  void apply_policy(Treatment& treatment, tfo_packet& packet, const tfo_flow& flow,
                    const tfo_ring& ring, const WorldVip& vip);
  void apply_truncated(Treatment& treatment, const tfo_frame& frame,
                       const tfo_packet& packet) const;

  World world_;
  tfo_load_config config_{};
  std::map<uint16_t, tfo_ring> rings_;
  std::map<uint16_t, tfo_trigger> triggers_;  // by slot
};

/// The ring of a pool as the data plane holds it.
tfo_ring ring_of(const std::vector<WorldKey>& keys, const WorldRenewal& renewal = {});
tfo_ring ring_of(const World& world, uint16_t pool);
/// An address as it stands in the VIP table, IPv4 mapped.
std::array<uint8_t, 16> mapped(const Address& address);
/// What the program is loaded with for this world.
tfo_load_config load_config_of(const World& world);

}  // namespace tfo::test
