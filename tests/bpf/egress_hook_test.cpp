// SPDX-License-Identifier: BSD-2-Clause
// What sees packets leave an interface: attached, taken over, taken off.
#include "loader/dataplane/egress_hook.h"

#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include "loader/dataplane/dataplane.h"
#include "loader/dataplane/device.h"
#include "loader/dataplane/private_load.h"
#include "tests/support/outcome.h"
#include "tests/support/sandbox.h"

namespace tfo::test {
namespace {

class EgressHook : public testing::Test {
 protected:
  void SetUp() override {
    if (!netns_.ok() || !bpffs_.ok()) GTEST_SKIP() << "needs root: network namespace and bpffs";
    ASSERT_TRUE(netns_.add_veth("one"));
  }

  Result<Dataplane> open() {
    return Dataplane::open({.pin_directory = bpffs_.pins(),
                            .vips = 1,
                            .vip_rows = 1,
                            .handshakes = 1024,
                            .boot_offset_ns = [] { return int64_t{0}; },
                            .checkpoint = {}});
  }

  PrivateNetns netns_;
  PrivateBpffs bpffs_;
};

TEST_F(EgressHook, StaysWithoutTheDaemonAndIsTakenOver) {
  InterfaceConfig config{.name = "one"};
  config.egress = true;
  {
    auto dataplane = open();
    ASSERT_OK(dataplane);
    ASSERT_OK(dataplane->set_interfaces({config}));
    EXPECT_TRUE(dataplane->interfaces()[0].egress) << dataplane->interfaces()[0].egress_error;
    dataplane->keep();
  }
  const auto pin = bpffs_.pins() / "egress" / "one";
  EXPECT_TRUE(std::filesystem::exists(pin)) << "nobody is there, and it is";
  auto dataplane = open();
  ASSERT_OK(dataplane);
  ASSERT_OK(dataplane->set_interfaces({config}));
  EXPECT_TRUE(dataplane->interfaces()[0].egress);
  EXPECT_FALSE(*dataplane->reconcile()) << "nothing to mend";
  std::filesystem::remove(pin);
  // The kernel lets go of the link a little later, and takes no program twice.
  EXPECT_TRUE(wait_until([&] { return dataplane->reconcile() && std::filesystem::exists(pin); }))
      << "somebody took it off";
  EXPECT_TRUE(dataplane->interfaces()[0].egress);
  config.egress = false;
  ASSERT_OK(dataplane->set_interfaces({config}));
  EXPECT_FALSE(dataplane->interfaces()[0].egress);
  EXPECT_FALSE(std::filesystem::exists(pin));
  config.egress = true;
  ASSERT_OK(dataplane->set_interfaces({config}));
  ASSERT_OK(dataplane->detach_all());
  EXPECT_FALSE(std::filesystem::exists(bpffs_.pins()));
}

TEST_F(EgressHook, BothWaysReplaceWhatIsThere) {
  auto pins = PinDirectory::open(bpffs_.pins(), {});
  ASSERT_OK(pins);
  const unsigned ifindex = device_index("one");
  auto load = PrivateLoad::load({});
  ASSERT_OK(load);
  auto first = load_egress(load->maps(), {});
  auto second = load_egress(load->maps(), {});
  ASSERT_OK(first);
  ASSERT_OK(second);
  for (const bool filter : {true, false}) {
    for (auto* program : {&*first, &*second}) {
      const int fd = bpf_program__fd((*program)->progs.tfo_egress);
      if (filter) {
        ASSERT_OK(attach_egress_filter(*pins, "one", ifindex, fd));
      } else if (const auto linked = attach_egress_link(*pins, "one", ifindex, fd);
                 linked && !*linked) {
        GTEST_SKIP() << "no tcx before Linux 6.6";
      } else {
        ASSERT_OK(linked);
      }
      EXPECT_TRUE(is_egress_attached(*pins, "one", ifindex)) << filter;
    }
    const char* const shown = "tc filter show dev one egress | grep -c tfo_egress | grep -qx 1";
    EXPECT_TRUE(!filter || shell(shown));
    remove_egress(*pins, "one");
    EXPECT_FALSE(is_egress_attached(*pins, "one", ifindex)) << filter;
    EXPECT_FALSE(filter && shell(shown));
  }
}

}  // namespace
}  // namespace tfo::test
