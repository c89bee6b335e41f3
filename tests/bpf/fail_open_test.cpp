// SPDX-License-Identifier: BSD-2-Clause
// What the program cannot judge it passes and counts as internal_error: an observer never loses a
// packet because something was missing.
#include <gtest/gtest.h>

#include "tests/support/cases.h"
#include "tests/support/host_core.h"
#include "tests/support/xdp_world.h"

namespace tfo::test {
namespace {

class FailOpen : public testing::TestWithParam<Side> {};

TEST_P(FailOpen, AMissingRingIsCountedAndPassed) {
  LoadSizes sizes;
  sizes.rings = 2;  // pool 0 alone
  auto xdp = XdpUnderTest::load({}, sizes);
  ASSERT_TRUE(xdp) << xdp.error().message;
  const Packet packet = web_syn(GetParam());
  ASSERT_TRUE(xdp->set_vips({{mapped(packet.ip.destination), 0, 1, 7}}));
  Packet with_cookie = packet;
  with_cookie.option(fast_open(cookie_of(kCurrentKey, packet)));
  const auto verdict = xdp->run(with_cookie.frame());  // an error unless it passes
  ASSERT_TRUE(verdict) << verdict.error().message;
  EXPECT_EQ(*verdict, vip(TFO_INTERNAL_ERROR, TFO_OPTION_34));
}

TEST_P(FailOpen, AMissingCounterStillPasses) {
  auto xdp = XdpUnderTest::load({}, {});
  ASSERT_TRUE(xdp) << xdp.error().message;
  const Packet packet = web_syn(GetParam());
  constexpr uint16_t kNoSuchSlot = 60000;
  ASSERT_TRUE(xdp->set_vips({{mapped(packet.ip.destination), 0, kNoSuchSlot, 0}}));
  const auto verdict = xdp->run(packet.frame());
  ASSERT_TRUE(verdict) << verdict.error().message;
  EXPECT_EQ(verdict->slot, TFO_NODE_SLOT) << "nothing is counted";
}

TEST_P(FailOpen, HeadersOutsideTheLinearPartAreCountedAndPassed) {
  auto xdp = load_world(case_world());
  ASSERT_TRUE(xdp) << xdp.error().message;
  const Packet packet = web_syn(GetParam()).data(4000);
  const uint32_t half_of_tcp = 14 + (packet.ip.source.v6 ? 40 : 20) + 10;
  const auto verdict = xdp->run(packet.frame(), half_of_tcp);
  ASSERT_TRUE(verdict) << verdict.error().message;
  EXPECT_EQ(verdict->reason, TFO_INTERNAL_ERROR);
}

INSTANTIATE_TEST_SUITE_P(Families, FailOpen, testing::ValuesIn(kSides),
                         [](const auto& side) { return side.param.name; });

}  // namespace
}  // namespace tfo::test
