// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/private_load.h"

#include <bpf/libbpf.h>

#include "loader/dataplane/libbpf_log.h"

namespace tfo {

PrivateLoad::PrivateLoad(std::unique_ptr<GracePeriod> grace, std::unique_ptr<LiveSet> set,
                         XdpSkeleton program)
    : grace_(std::move(grace)), set_(std::move(set)), program_(std::move(program)) {}

Result<PrivateLoad> PrivateLoad::load(const tfo_load_config& config, const MapSizes& sizes) {
  route_libbpf_log();
  auto created = GracePeriod::create();
  if (!created) return tl::unexpected(std::move(created).error());
  auto grace = std::make_unique<GracePeriod>(std::move(*created));
  MapSizes wanted = sizes;
  if (config.guard == 0) wanted.handshakes = MapSizes::kFewestHandshakes;
  auto maps = MapSet::create(wanted);
  if (!maps) return tl::unexpected(std::move(maps).error());
  auto program = load_program(*maps, config);
  if (!program) return tl::unexpected(std::move(program).error());
  auto set = LiveSet::make(std::move(*maps), *grace);
  if (!set) return tl::unexpected(std::move(set).error());
  return PrivateLoad(std::move(grace), std::move(*set), std::move(*program));
}

Result<> PrivateLoad::set_vips(const std::vector<VipConfig>& vips) {
  auto fit = set_->set_vips(vips);
  if (!fit) return tl::unexpected(std::move(fit).error());
  if (*fit == LiveSet::Fit::kDone) return {};
  return fail("the maps of this load are too small for the VIPs");
}

Result<> PrivateLoad::set_ring(const std::string& pool, const tfo_ring& ring) {
  return set_->set_ring(pool, ring);
}

int PrivateLoad::program_fd() const { return bpf_program__fd(program_->progs.tfo_xdp); }

}  // namespace tfo
