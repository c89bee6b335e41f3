// SPDX-License-Identifier: BSD-2-Clause
// The egress program on the maps of the XDP program, as the loader joins them.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include "loader/dataplane/private_load.h"
#include "tests/support/outcome.h"

namespace tfo::test {
namespace {

uint32_t map_id(int fd) {
  bpf_map_info info{};
  uint32_t size = sizeof(info);
  return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 ? info.id : 0;
}

TEST(EgressLoad, SharesTheMapsOfTheOtherProgram) {
  tfo_load_config config{};
  config.guard = 1;
  auto load = PrivateLoad::load(config);
  ASSERT_OK(load);
  EXPECT_EQ(load->maps().sizes().handshakes, 262144U);
  auto egress = load_egress(load->maps(), config);
  ASSERT_OK(egress);
  const GuardMaps& guard = load->maps().guard;
  EXPECT_EQ(map_id(bpf_map__fd((*egress)->maps.handshakes)), map_id(guard.handshakes.fd()));
  EXPECT_EQ(map_id(bpf_map__fd((*egress)->maps.handshake_bits)), map_id(guard.handshake_bits.fd()));
  EXPECT_EQ(map_id(bpf_map__fd((*egress)->maps.data_ctl)), map_id(load->maps().control.raw().fd()));
}

TEST(EgressLoad, WithoutAGuardItsTablesAreSmall) {
  auto load = PrivateLoad::load({});
  ASSERT_OK(load);
  EXPECT_EQ(load->maps().sizes().handshakes, MapSizes::kFewestHandshakes);
}

}  // namespace
}  // namespace tfo::test
