// SPDX-License-Identifier: BSD-2-Clause
// What the data plane finds out about an interface.
#include "loader/dataplane/device.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <cstring>

#include "loader/dataplane/fd.h"
#include "tests/support/sandbox.h"

namespace tfo::test {
namespace {

TEST(Device, OnlyHardwareDeliversNothingButFinishedChecksums) {
  EXPECT_FALSE(may_be_partial("ixgbe", "0000:01:00.0"));
  EXPECT_FALSE(may_be_partial("mlx5_core", "0000:81:00.1"));
  EXPECT_FALSE(may_be_partial("ena", "0000:00:05.0"));
  EXPECT_TRUE(may_be_partial("virtio_net", "0000:00:03.0"));
  EXPECT_TRUE(may_be_partial("vif", "vif-0"));
  EXPECT_TRUE(may_be_partial("veth", ""));
  EXPECT_TRUE(may_be_partial("tun", "tap"));
  EXPECT_TRUE(may_be_partial("bridge", "N/A"));
}

TEST(Device, VethAndLoopbackCarryWhatLocalSendersLeftUnfinished) {
  const PrivateNetns netns;
  if (!netns.ok()) GTEST_SKIP() << "needs the right to make network namespaces";
  ASSERT_TRUE(netns.add_veth("pair"));
  for (const char* name : {"pair", "pair_peer", "lo"}) {
    const auto device = find_device(name);
    ASSERT_TRUE(device) << device.error().message;
    EXPECT_TRUE(device->partial) << name;
    EXPECT_FALSE(device->l3) << name;
    EXPECT_GT(device->mtu, 0) << name;
  }
}

TEST(Device, TunAndTapToo) {
  const PrivateNetns netns;
  const Fd tun(open("/dev/net/tun", O_RDWR | O_CLOEXEC)),
      tap(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!netns.ok() || !tun || !tap) GTEST_SKIP() << "needs root and /dev/net/tun";
  for (const auto& [fd, name, flags] :
       {std::tuple{&tun, "tun7", IFF_TUN}, {&tap, "tap7", IFF_TAP}}) {
    ifreq request{};
    std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    request.ifr_flags = static_cast<short>(flags | IFF_NO_PI);
    ASSERT_EQ(ioctl(fd->get(), TUNSETIFF, &request), 0) << name;
    const auto device = find_device(name);
    ASSERT_TRUE(device) << device.error().message;
    EXPECT_TRUE(device->partial) << name;
    EXPECT_EQ(device->l3, flags == IFF_TUN) << name;
  }
}

}  // namespace
}  // namespace tfo::test
