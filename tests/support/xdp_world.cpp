// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/xdp_world.h"

#include "tests/support/host_core.h"

namespace tfo::test {

Result<XdpUnderTest> load_world(const World& world) {
  auto xdp = XdpUnderTest::load(load_config_of(world));
  if (!xdp) return xdp;
  std::vector<VipRow> rows;
  rows.reserve(world.vips.size());
  for (const WorldVip& vip : world.vips) {
    const auto flags = static_cast<uint8_t>(vip.flags | (vip.renew ? TFO_VIP_RENEW : 0));
    const auto mode = static_cast<uint8_t>(vip.mode);
    rows.push_back({mapped(vip.address), vip.port, vip.slot, vip.pool, mode, flags, vip.canary});
  }
  if (auto done = xdp->set_vips(rows); !done) return tl::unexpected(done.error());
  for (const WorldVip& vip : world.vips) {
    if (auto done = xdp->set_policy(vip.slot, vip.policy); !done)
      return tl::unexpected(done.error());
  }
  for (const auto& [pool, keys] : world.pools) {
    if (auto done = xdp->set_ring(pool, ring_of(world, pool)); !done)
      return tl::unexpected(done.error());
  }
  xdp->set_now(world.now_ns);
  return xdp;
}

Result<XdpUnderTest*> XdpWorlds::with(bool l3, uint8_t decap, bool partial) {
  const std::tuple kind(l3, decap, partial);
  if (const auto it = loads_.find(kind); it != loads_.end()) return &it->second;
  World world = world_;
  world.l3 = l3;
  world.decap = decap;
  world.partial = partial;
  auto xdp = load_world(world);
  if (!xdp) return tl::unexpected(xdp.error());
  return &loads_.emplace(kind, std::move(*xdp)).first->second;
}

}  // namespace tfo::test
