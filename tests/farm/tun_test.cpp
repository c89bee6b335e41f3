// SPDX-License-Identifier: BSD-2-Clause
// A device without an Ethernet header: the data plane finds that out by itself, and real packets
// written into a tun device are classified.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstring>

#include "loader/dataplane/dataplane.h"
#include "tests/support/packet.h"
#include "tests/support/sandbox.h"

namespace tfo::test {
namespace {

/// The descriptor of a new tun device of this network namespace, -1 if there can be none.
int open_tun(const char* name) {
  const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) return -1;
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(fd, TUNSETIFF, &request) == 0) return fd;
  close(fd);
  return -1;
}

TEST(Tun, CountsPacketsThatStartWithTheirIpHeader) {
  const PrivateNetns netns;
  const PrivateBpffs bpffs;
  if (!netns.ok() || !bpffs.ok()) GTEST_SKIP() << "needs root: network namespace and bpffs";
  const Fd tun(open_tun("tun0"));
  ASSERT_GE(tun.get(), 0) << "no /dev/net/tun";
  ASSERT_TRUE(shell("ip link set tun0 up"));
  auto dataplane = Dataplane::open({.pin_directory = bpffs.pins().string(),
                                    .vips = 1,
                                    .vip_rows = 2,
                                    .boot_offset_ns = {},
                                    .checkpoint = {}});
  ASSERT_TRUE(dataplane) << dataplane.error().message;
  VipConfig vip{.name = "web", .addresses = {}, .ports = {}, .pool = "web"};
  vip.addresses.push_back(ConfigAddress{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 198, 51, 100, 1});
  vip.addresses.push_back(ConfigAddress{0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  const auto placed = dataplane->set_vips({vip});
  ASSERT_TRUE(placed) << placed.error().message;
  const auto attached = dataplane->set_interfaces({{.name = "tun0"}});
  ASSERT_TRUE(attached) << attached.error().message;

  const Bytes frames[] = {Packet::syn("192.0.2.1", "198.51.100.1").l3().frame(),
                          Packet::syn("2001:db8::9", "2001:db8::1").l3().data(5).frame()};
  for (const Bytes& frame : frames) {
    ASSERT_EQ(write(tun.get(), frame.data(), frame.size()), static_cast<ssize_t>(frame.size()));
  }
  const auto count = [&](tfo_reason reason, int data) -> uint64_t {
    const auto snapshot = dataplane->counters();
    if (!snapshot || snapshot->vips.size() != 1) return 0;
    return snapshot->vips[0].counters.cell[reason][TFO_OPTION_NONE][data];
  };
  EXPECT_TRUE(wait_until([&] {
    return count(TFO_PLAIN, 0) == 1 && count(TFO_DATA_NO_OPTION, 1) == 1;
  })) << count(TFO_PLAIN, 0)
      << " plain, " << count(TFO_DATA_NO_OPTION, 1) << " with data";
}

}  // namespace
}  // namespace tfo::test
