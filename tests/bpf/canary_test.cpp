// SPDX-License-Identifier: BSD-2-Clause
// Mode canary in the loaded program: its share of 10,000 client networks, and the same ones on two
// nodes, whose tables have nothing in common but their configuration.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/support/host_core.h"
#include "tests/support/outcome.h"
#include "tests/support/packet.h"
#include "tests/support/xdp_load.h"

namespace tfo::test {
namespace {

constexpr unsigned kNetworks = 10'000;
constexpr int kTwoPercent = kNetworks / 50;

/// One node: a VIP that demotes invalid cookies of `share` ten-thousandths of the networks.
class Node {
 public:
  static Result<Node> start(uint64_t seed) {
    auto xdp = XdpUnderTest::load({});
    if (!xdp) return tl::unexpected(xdp.error());
    xdp->control().hash_seed[0] = seed;
    xdp->control().hash_seed[1] = ~seed;
    tfo_policy policy{};
    policy.on_invalid = TFO_DEMOTE;
    auto done = xdp->set_ring(0, ring_of({{"00112233-44556677-8899aabb-ccddeeff"}}));
    if (done) done = xdp->set_policy(1, policy);
    if (!done) return tl::unexpected(done.error());
    return Node(std::move(*xdp));
  }

  Result<> set_share(uint16_t share) {
    std::vector<VipRow> rows;
    for (const char* address : {"198.51.100.1", "2001:db8::1"}) {
      rows.push_back({.address = mapped(Address::of(address)),
                      .port = 443,
                      .slot = 1,
                      .pool = 0,
                      .mode = TFO_CANARY,
                      .flags = TFO_VIP_POLICY,
                      .canary = share});
    }
    return xdp_.set_vips(rows);
  }

  /// For each network: is it enforced?
  Result<std::vector<bool>> enforced(int family) {
    std::vector<bool> all;
    for (unsigned i = 0; i < kNetworks; ++i) {
      const auto got = xdp_.treat(syn(family, i));
      if (!got) return tl::unexpected(got.error());
      if (got->would != TFO_DEMOTE) return fail("every cookie here is invalid");
      all.push_back(got->action == TFO_DEMOTE);
    }
    return all;
  }

 private:
  explicit Node(XdpUnderTest xdp) : xdp_(std::move(xdp)) {}

  static Bytes syn(int family, unsigned network) {
    const bool v4 = family == 4;
    Packet packet =
        v4 ? Packet::syn("10.0.0.7", "198.51.100.1") : Packet::syn("2001:db8::7", "2001:db8::1");
    const size_t at = v4 ? 1 : 4;  // the last two bytes of a /24 of 10.0.0.0/8, or of a /48
    packet.ip.source.bytes[at] = static_cast<uint8_t>(network >> 8);
    packet.ip.source.bytes[at + 1] = static_cast<uint8_t>(network);
    packet.option(fast_open(Bytes(TFO_COOKIE_LEN, 0x5a)));
    return packet.data(20).frame();
  }

  XdpUnderTest xdp_;
};

class CanaryNodes : public testing::TestWithParam<int> {};

TEST_P(CanaryNodes, EnforceTheSameNetworksAndWhoIsInStaysIn) {
  auto one = Node::start(0x0123456789abcdefULL), two = Node::start(0xf00dfeedf00dfeedULL);
  ASSERT_OK(one);
  ASSERT_OK(two);
  std::vector<bool> before(kNetworks, false);
  for (const uint16_t share : {500, 5000}) {
    ASSERT_OK(one->set_share(share));
    ASSERT_OK(two->set_share(share));
    const auto here = one->enforced(GetParam()), there = two->enforced(GetParam());
    ASSERT_OK(here);
    ASSERT_OK(there);
    EXPECT_EQ(*here, *there) << share;
    EXPECT_NEAR(static_cast<double>(std::ranges::count(*here, true)), share, kTwoPercent);
    for (unsigned i = 0; i < kNetworks; ++i) EXPECT_TRUE((*here)[i] || !before[i]) << i;
    before = *here;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, CanaryNodes, testing::Values(4, 6),
                         [](const auto& one) { return "IPv" + std::to_string(one.param); });

}  // namespace
}  // namespace tfo::test
