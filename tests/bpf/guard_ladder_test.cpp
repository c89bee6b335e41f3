// SPDX-License-Identifier: BSD-2-Clause
// The guard's limits as a VIP has them by default: who is over a finer one loses Fast Open alone.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "loader/dataplane/vip_policy.h"
#include "tests/support/guard_world.h"
#include "tests/support/outcome.h"

namespace tfo::test::guard_ladder_test {
namespace {

constexpr uint32_t kData = 20;  // bytes in the SYNs

/// By default, with servers that hold this many.
tfo_guard by_default(uint64_t queues) {
  ServerFacts servers;
  servers.fastopen_limit = queues;
  return kernel_guard({}, servers);
}

/// Address `host` of /24 or /64 number `network`; all the /64s are of site `site`.
std::string client(bool v6, unsigned site, unsigned network, unsigned host) {
  return v6 ? "2001:db8:" + std::to_string(site + 1) + ":" + std::to_string(network) +
                  "::" + std::to_string(host + 1)
            : "10." + std::to_string(site) + "." + std::to_string(network) + "." +
                  std::to_string(host);
}

class GuardLadder : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    auto world = GuardWorld::make(guard_, 65536);
    ASSERT_OK(world);
    world_.emplace(std::move(*world));
  }

  /// A SYN of a connection of its own; did it go through with its cookie?
  bool opens(const std::string& from, bool answered = false) {
    Packet syn = GuardWorld::syn(from);
    syn.ports(static_cast<uint16_t>(1024 + ++port_ % 60'000), 443);
    const auto answer = world_->send(syn);
    EXPECT_TRUE(answer);
    if (answered) {
      EXPECT_TRUE(world_->send(GuardWorld::segment(syn, kAck, kData)));
    }
    return answer && *answer == TFO_GUARD_OK;
  }
  /// How many of so many did.
  unsigned open(unsigned count, const std::string& from) {
    unsigned opened = 0;
    for (unsigned i = 0; i < count; i++) opened += opens(from) ? 1 : 0;
    return opened;
  }
  uint64_t over(tfo_guard_level level) const { return world_->counters()->over[level]; }

  const tfo_guard guard_ = by_default(512);
  const unsigned address_ = guard_.limit[TFO_LEVEL_ADDRESS];
  const unsigned network_ = guard_.limit[TFO_LEVEL_NETWORK];
  const unsigned site_ = guard_.limit[TFO_LEVEL_SITE];
  std::optional<GuardWorld> world_;
  unsigned port_ = 0;
};

TEST_P(GuardLadder, OneAddressLosesFastOpenAlone) {
  const std::string abuser = client(GetParam(), 0, 0, 1);
  EXPECT_LE(open(4 * network_, abuser), address_ + address_ / 2)
      << "half of it before it is told from the others";
  EXPECT_FALSE(opens(abuser));
  for (unsigned i = 2; i < 2 + network_ / 4; i++) {
    EXPECT_TRUE(opens(client(GetParam(), 0, 0, i))) << "a neighbour in its /24 or /64: " << i;
    EXPECT_TRUE(opens(client(GetParam(), 0, 1, i))) << "beside it: " << i;
  }
  EXPECT_GT(over(TFO_LEVEL_ADDRESS), 0U);
  EXPECT_EQ(over(TFO_LEVEL_NETWORK) + over(TFO_LEVEL_SITE) + over(TFO_LEVEL_VIP), 0U);
}

/// It opens all it can, again and again as the oldest end: its network never comes over its limit.
TEST_P(GuardLadder, NorDoesItTireItsNeighboursOut) {
  const std::string abuser = client(GetParam(), 0, 0, 1);
  unsigned refused = 0;
  for (unsigned bucket = 0; bucket < 60; bucket++) {
    refused += address_ - open(address_, abuser);
    for (unsigned i = 0; i < 5; i++) {
      EXPECT_TRUE(opens(client(GetParam(), 0, 0, 10 + i), true)) << "in bucket " << bucket;
    }
    world_->advance(kBucket);
  }
  EXPECT_GT(refused, 50 * address_);
  EXPECT_EQ(over(TFO_LEVEL_NETWORK) + over(TFO_LEVEL_SITE), 0U);
}

TEST_P(GuardLadder, AWholeNetworkLeavesTheVipToOthers) {
  const unsigned most = GetParam() ? site_ : network_;
  unsigned opened = 0;
  for (unsigned i = 0; i < 4 * most; i++) {
    opened += opens(client(GetParam(), 0, GetParam() ? i : 0, i % 250)) ? 1 : 0;
  }
  EXPECT_EQ(opened, most);
  for (unsigned i = 1; i <= 100; i++) {
    EXPECT_TRUE(opens(client(GetParam(), i, 0, 1))) << "another /24 or /48: " << i;
  }
}

TEST_P(GuardLadder, WhereOpensCountTheyDoNotForOneAddress) {
  tfo_guard guard = guard_;
  guard.flags |= TFO_GUARD_COUNT_OPENS;
  ASSERT_OK(world_->set(guard));
  const std::string busy = client(GetParam(), 0, 0, 1);
  for (unsigned i = 0; i < network_; i++) EXPECT_TRUE(opens(busy, true)) << i;
}

INSTANTIATE_TEST_SUITE_P(Families, GuardLadder, testing::Bool(),
                         [](const auto& v6) { return v6.param ? "IPv6" : "IPv4"; });

using GuardLadderV6 = GuardLadder;

TEST_P(GuardLadderV6, OneNetworkLosesFastOpenAlone) {
  unsigned opened = 0;
  for (unsigned i = 0; i < 4 * site_; i++) opened += opens(client(true, 0, 0, i)) ? 1 : 0;
  EXPECT_LE(opened, network_ + address_ / 2);
  EXPECT_FALSE(opens(client(true, 0, 0, 9000))) << "a neighbour in its /64";
  for (unsigned i = 1; i <= site_ / 4; i++) {
    EXPECT_TRUE(opens(client(true, 0, i, 1))) << "in its /48: " << i;
  }
  EXPECT_GT(over(TFO_LEVEL_NETWORK), 0U);
  EXPECT_EQ(over(TFO_LEVEL_ADDRESS) + over(TFO_LEVEL_SITE) + over(TFO_LEVEL_VIP), 0U);
}

INSTANTIATE_TEST_SUITE_P(Sites, GuardLadderV6, testing::Values(true));

}  // namespace
}  // namespace tfo::test::guard_ladder_test
