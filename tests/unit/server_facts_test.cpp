// SPDX-License-Identifier: BSD-2-Clause
#include "loader/server_facts.h"

#include <gtest/gtest.h>

#include "loader/server/server_bit.h"

namespace tfo {
namespace {

/// Any port of 192.0.2.1.
const VipConfig kVip{.name = "web",
                     .addresses = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1}},
                     .ports = {},
                     .pool = "web"};

/// Listeners on ports from 443 on, with a Fast Open queue of this limit each; 0: such as this
/// kernel does not show.
ListenerReport own(std::initializer_list<uint32_t> limits, uint32_t backlog = 200) {
  ListenerReport report;
  report.fastopen_bits = 3;
  for (const uint32_t limit : limits) {
    Listener listener;
    listener.port = static_cast<uint16_t>(443 + report.listeners.size());
    listener.backlog = backlog;
    if (limit != 0) listener.fast_open.emplace().limit = limit;
    report.listeners.push_back(listener);
  }
  return report;
}

const rotation::FarmReports kFarm{.servers = 4,
                                  .balancers = 2,
                                  .listeners = 4,
                                  .qlen_sum = 4096,
                                  .qlen_least = 1024,
                                  .qlen_unknown = 0,
                                  .backlog_sum = 16'000,
                                  .fullest_quarters = 0,
                                  .any_no_cookie_bit = false,
                                  .oldest_at = 1};

rotation::FarmReports of_nodes(uint64_t servers, uint64_t balancers) {
  rotation::FarmReports reports;
  reports.servers = servers;
  reports.balancers = balancers;
  return reports;
}

TEST(ServerFacts, OfThisHostAlone) {
  const ListenerReport one = own({128, 256}), two = own({64}, 1000);
  const ServerFacts facts = server_facts_of(kVip, {&one, &two}, {});
  EXPECT_EQ(facts.fastopen_limit, 192U) << "128 and 64: the smallest is full first";
  EXPECT_EQ(facts.fastopen_least, 64U);
  EXPECT_EQ(facts.unproven_rate, 60U) << "(200 + 1000) / 20";
  EXPECT_EQ(facts.balancers, 1U);
  EXPECT_FALSE(facts.no_cookie);
}

/// One stray listener would lower the limits of all.
TEST(ServerFacts, OnlyListenersThatServeTheVip) {
  const ListenerReport report = own({128, 4});
  VipConfig vip = kVip;
  vip.ports = {443};
  EXPECT_EQ(server_facts_of(vip, {&report}, {}).fastopen_limit, 128U);
  vip.ports = {444};
  EXPECT_EQ(server_facts_of(vip, {&report}, {}).fastopen_limit, 4U) << "another VIP of the pool";
  rotation::FarmReports farm = kFarm;
  farm.qlen_least = 4;
  farm.qlen_sum = 528;
  vip.ports = {443};
  EXPECT_EQ(server_facts_of(vip, {&report}, farm).fastopen_limit, 128U)
      << "the farm's least, four times, is less than what this host alone has";
}

TEST(ServerFacts, OfTheFarmWhichThisHostBelongsTo) {
  const ServerFacts facts = server_facts_of(kVip, {}, kFarm);
  EXPECT_EQ(facts.fastopen_limit, 4096U);
  EXPECT_EQ(facts.fastopen_least, 1024U);
  EXPECT_EQ(facts.unproven_rate, 800U);
  EXPECT_EQ(facts.balancers, 2U);
  const ListenerReport small = own({128}), large = own({9000}, 40'000);
  const ServerFacts with_small = server_facts_of(kVip, {&small}, kFarm);
  EXPECT_EQ(with_small.fastopen_limit, facts.fastopen_limit) << "counted already";
  EXPECT_EQ(with_small.unproven_rate, facts.unproven_rate);
  EXPECT_EQ(with_small.fastopen_least, 128U) << "and is full first";
  EXPECT_EQ(server_facts_of(kVip, {&large}, kFarm).fastopen_limit, 9000U) << "not acknowledged yet";
  EXPECT_EQ(server_facts_of(kVip, {&large}, kFarm).unproven_rate, 2000U);
}

TEST(ServerFacts, TheSmallestQueueOfTheFarmAsOftenAsThereAreServers) {
  rotation::FarmReports farm = kFarm;
  farm.listeners = 12;
  farm.qlen_sum = 12'288;
  farm.backlog_sum = 48'000;
  EXPECT_EQ(server_facts_of(kVip, {}, farm), server_facts_of(kVip, {}, kFarm))
      << "three listeners each";
}

TEST(ServerFacts, VipsThatMayShareTheFarmsListenersGetNoMoreThanTheirPart) {
  const ServerFacts part = server_facts_of(kVip, {}, kFarm, 8);
  EXPECT_EQ(part.fastopen_limit, 512U);
  EXPECT_EQ(part.fastopen_least, 128U);
  EXPECT_EQ(part.unproven_rate, 100U);
  rotation::FarmReports own_listeners = kFarm;
  own_listeners.listeners *= 8;
  own_listeners.qlen_sum *= 8;
  own_listeners.backlog_sum *= 8;
  EXPECT_EQ(server_facts_of(kVip, {}, own_listeners, 8), server_facts_of(kVip, {}, kFarm))
      << "as many listeners as VIPs";
}

TEST(ServerFacts, LimitsFollowTheFarm) {
  const VipConfig vip;
  EXPECT_EQ(kernel_guard(vip, server_facts_of(kVip, {}, kFarm)).limit[TFO_LEVEL_NETWORK], 64U);
  EXPECT_EQ(kernel_guard(vip, server_facts_of(kVip, {}, kFarm)).limit[TFO_LEVEL_VIP], 1024U);
  rotation::FarmReports fewer = kFarm;
  fewer.qlen_sum = 1024;
  fewer.balancers = 1;
  EXPECT_EQ(kernel_guard(vip, server_facts_of(kVip, {}, fewer)).limit[TFO_LEVEL_NETWORK], 32U);
  EXPECT_EQ(kernel_guard(vip, server_facts_of(kVip, {}, fewer)).limit[TFO_LEVEL_VIP], 512U);
}

TEST(ServerFacts, NoQueueIsAsGoodAsUnknown) {
  const ListenerReport none = own({}), unseen = own({0});
  EXPECT_EQ(server_facts_of(kVip, {&none}, {}), ServerFacts{}) << "the service is about to start";
  EXPECT_EQ(server_facts_of(kVip, {&unseen}, {}).fastopen_limit, std::nullopt);
  EXPECT_EQ(server_facts_of(kVip, {&unseen}, {}).unproven_rate, 10U) << "its backlog is seen";
  EXPECT_EQ(server_facts_of(kVip, {}, of_nodes(1, 1)), ServerFacts{});
}

TEST(ServerFacts, OneServerWithTheBitIsEnough) {
  ListenerReport here = own({128});
  here.fastopen_bits |= kFastopenNoCookie;
  EXPECT_TRUE(server_facts_of(kVip, {&here}, {}).no_cookie);
  rotation::FarmReports farm = kFarm;
  farm.any_no_cookie_bit = true;
  const ListenerReport harmless = own({128});
  EXPECT_TRUE(server_facts_of(kVip, {&harmless}, farm).no_cookie);
}

TEST(ServerFacts, AFarmIsHeardOfOnceAnybodyHasAcknowledged) {
  EXPECT_FALSE(has_heard({}));
  EXPECT_TRUE(has_heard(of_nodes(0, 1)));
  EXPECT_TRUE(has_heard(of_nodes(1, 0)));
}

/// A tfod that starts before the farm answers finds what the last one knew.
TEST(ServerFacts, WhatTheMapsHeldStaysUntilSomethingIsHeard) {
  ServerFacts known;
  known.unproven_rate = 800;
  known.fastopen_limit = 4096;
  known.no_cookie = true;
  VipConfig vip;
  vip.policy.on_invalid = TFO_DROP;
  const tfo_guard guard_before = kernel_guard(vip, known);
  const tfo_policy policy_before = kernel_policy(vip.policy, known);
  tfo_guard guard = kernel_guard(vip, {});
  tfo_policy policy = kernel_policy(vip.policy, {});
  keep_facts(vip, guard_before, policy_before, guard, policy);
  EXPECT_EQ(guard.limit[TFO_LEVEL_ADDRESS], 128U);
  EXPECT_EQ(guard.limit[TFO_LEVEL_SITE], 1024U);
  EXPECT_EQ(guard.limit[TFO_LEVEL_VIP], 2048U);
  EXPECT_EQ(policy.unproven_rate, 800U);
  EXPECT_EQ(policy.unproven_ns, 1'250'000U);
  EXPECT_EQ(policy.drop_above, 800U);
  EXPECT_EQ(policy.flags, TFO_POLICY_NO_DEMOTE);

  vip.guard.limit = 20;
  vip.policy.unproven_rate = 50;
  guard = kernel_guard(vip, {});
  policy = kernel_policy(vip.policy, {});
  keep_facts(vip, guard_before, policy_before, guard, policy);
  EXPECT_EQ(guard.limit[TFO_LEVEL_NETWORK], 20U) << "what is configured wins";
  EXPECT_EQ(guard.limit[TFO_LEVEL_ADDRESS], 8U) << "and so does what goes by it";
  EXPECT_EQ(guard.limit[TFO_LEVEL_VIP], 2048U);
  EXPECT_EQ(policy.unproven_rate, 50U);
  EXPECT_EQ(policy.drop_above, 50U);

  vip.guard.on = false;
  guard = kernel_guard(vip, {});
  keep_facts(vip, guard_before, policy_before, guard, policy);
  EXPECT_EQ(guard.limit[TFO_LEVEL_VIP], 0U);
}

/// The maps of a first start hold nothing.
TEST(ServerFacts, WhereNothingWasBeforeDefaultsStand) {
  const VipConfig vip;
  tfo_guard guard = kernel_guard(vip, {});
  tfo_policy policy = kernel_policy(vip.policy, {});
  const tfo_policy first = policy;
  keep_facts(vip, {}, {}, guard, policy);
  EXPECT_EQ(guard.limit[TFO_LEVEL_VIP], 0U);
  EXPECT_EQ(policy.unproven_rate, first.unproven_rate);
  EXPECT_EQ(policy.unproven_ns, first.unproven_ns);
}

TEST(DropDisarmed, WhileInvalidCookiesComeAndNoValidOne) {
  constexpr uint64_t kSecond = 1'000'000'000, kNow = 1000 * kSecond;
  tfo_trigger trigger{};
  EXPECT_FALSE(drop_disarmed(trigger, kNow)) << "nothing came";
  trigger.disarmed_ns = kNow;
  EXPECT_TRUE(drop_disarmed(trigger, kNow)) << "no proof ever";
  trigger.proved_ns = kNow - 61 * kSecond;
  EXPECT_TRUE(drop_disarmed(trigger, kNow + 59 * kSecond)) << "the proof was older";
  EXPECT_FALSE(drop_disarmed(trigger, kNow + 60 * kSecond)) << "they stopped coming";
  trigger.proved_ns = kNow + kSecond;
  EXPECT_FALSE(drop_disarmed(trigger, kNow + 2 * kSecond)) << "armed again by a valid cookie";
}

}  // namespace
}  // namespace tfo
