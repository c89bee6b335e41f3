// SPDX-License-Identifier: BSD-2-Clause
// Since Linux 6.18 all programs of a program array share one expected attach type
// (bpf_prog_map_compatible): ours must fit beside what libbpf loads from SEC("xdp.frags").
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <unistd.h>

#include "tests/support/xdp_load.h"

namespace tfo::test {
namespace {

int load_pass(uint32_t flags) {
  const bpf_insn pass[] = {{0xb7, 0, 0, 0, XDP_PASS}, {0x95, 0, 0, 0, 0}};
  LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_XDP, .prog_flags = flags);
  return bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, 2, &opts);
}

TEST(ProgramArray, HoldsOursBesideAnother) {
  auto xdp = XdpUnderTest::load({});
  ASSERT_TRUE(xdp) << xdp.error().message;
  const int array = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "root_array", 4, 4, 2, nullptr);
  ASSERT_GE(array, 0);
  const int other = load_pass(BPF_F_XDP_HAS_FRAGS);
  ASSERT_GE(other, 0);
  const uint32_t slots[] = {0, 1};
  const int ours = xdp->program_fd();
  EXPECT_EQ(bpf_map_update_elem(array, &slots[0], &other, BPF_ANY), 0);
  EXPECT_EQ(bpf_map_update_elem(array, &slots[1], &ours, BPF_ANY), 0);
  close(other);
  close(array);
}

}  // namespace
}  // namespace tfo::test
