// SPDX-License-Identifier: BSD-2-Clause
// Alerts that wait: for a wider one that is about to be raised, for a usual rate that is not known.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/alert_world.h"

namespace tfo::alert::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// The same packets, as both rules of a VIP see them.
void send(World& world, double rate) {
  for (const char* rule : {"vip", "vip_slow"}) {
    Flow& flow = world.flow(rule, "web");
    flow.rate = rate;
    flow.sample.sources = 1000;
  }
}

TEST(AlertPatience, OneAlertTellsOfOneAttack) {
  for (const double rate : {60.0, 120.0, 6'000.0}) {
    World world;
    send(world, 0);
    world.run(30);
    send(world, rate);
    EXPECT_THAT(world.run(120),
                ElementsAre(rate > 5'000 ? "raised vip:web critical" : "raised vip:web warning"))
        << rate;
  }
}

TEST(AlertPatience, ItEndsWhereTheWiderOneDoesNotCome) {
  World world;
  send(world, 0);
  world.run(30);
  send(world, 120);
  EXPECT_THAT(world.run(50), IsEmpty()) << "the other one wants 60 s";
  send(world, 0);
  EXPECT_THAT(world.run(15), ElementsAre("raised vip_slow:web warning"));
}

TEST(AlertPatience, WhatWasToldIsNotToldAgainAsSlow) {
  World world;
  send(world, 0);
  world.run(30);
  send(world, 6'000);
  EXPECT_THAT(world.run(20), ElementsAre("raised vip:web critical"));
  send(world, 0);
  EXPECT_THAT(world.run(900), ElementsAre("cleared vip:web critical"));
}

TEST(AlertPatience, WhatIsMoreSevereDoesNotWait) {
  World world;
  send(world, 0);
  Flow& carpet = world.flow("carpet", "net");
  world.run(30);
  send(world, 6'000);
  world.flow("vip", "web").sample.part_of = "net";
  carpet.rate = 6'000;  // a warning, after 30 s
  carpet.sample.sources = 20;
  EXPECT_THAT(world.run(10), ElementsAre("raised vip:web critical"));
}

TEST(AlertPatience, AGatewayMayAlwaysHaveBeenBusy) {
  World world;
  Flow& gateway = world.flow("outgoing_syn_flood", "node");
  gateway.rate = 20'000;
  EXPECT_THAT(world.run(3'000), IsEmpty());
  gateway.rate = 120'000;
  EXPECT_THAT(world.run(20), ElementsAre("raised outgoing_syn_flood:node warning"));
}

TEST(AlertPatience, AFullFilterWaitsForNothing) {
  World world;
  Flow& flood = world.flow("outgoing_syn_flood", "node");
  flood.rate = 20'000;
  flood.sample.saturated = true;
  EXPECT_THAT(world.run(3), ElementsAre("raised outgoing_syn_flood:node critical"));
}

/// All SYNs of an asymmetric network may leave at other nodes: here its honest answers are excess.
TEST(AlertPatience, WhatIsAlwaysThereIsLearnedOfAnAsymmetricPrefix) {
  World world;
  Flow& prefix = world.flow("asymmetric", "transit");
  prefix.rate = 25'000;
  EXPECT_THAT(world.run(86'400), IsEmpty());
  prefix.rate = 50'000;
  EXPECT_THAT(world.run(600), IsEmpty()) << "a busy evening";
  prefix.rate = 130'000;
  EXPECT_THAT(world.run(45), ElementsAre("raised asymmetric:transit critical"));
}

/// Who makes many small alerts of one kind hides none of another.
TEST(AlertPatience, OneRuleAndOneKindLeaveRoomForOthers) {
  World world;
  for (const std::string rule : {"reflector_network", "vip", "tracked"}) {
    for (int i = 0; i < 60; ++i) {
      Flow& flow = world.flow(rule, rule + std::to_string(i));
      flow.rate = rule == "reflector_network" ? 5 : 200;
      flow.total_rate = 2 * flow.rate;
      flow.sample.sources = 100;
    }
    world.run(80);
    const std::vector<Alert> active = world.engine.active();
    const auto own = [&](const Alert& alert) { return alert.rule == rule; };
    EXPECT_EQ(std::ranges::count_if(active, own), rule == "tracked" ? 0 : Engine::kMostOfARule)
        << rule;
  }
  EXPECT_EQ(world.engine.active().size(), Engine::kMostOfAKind);
  for (int i = 0; i < 60; ++i) {
    world.states.push_back({.rule = "key_stale", .subject = "p" + std::to_string(i)});
  }
  world.run(320);
  EXPECT_EQ(world.engine.active().size(), Engine::kMostWarnings);
}

/// One server that repeats itself is no attack; a dozen of strong ones are.
TEST(AlertPatience, NoRateBelowTheFloorIsAskedFor) {
  for (const double rate : {100.0, 140.0}) {
    World world;
    Flow& vip = world.flow("vip", "web");
    vip.sample.floor = 130;  // what comes to so many addresses anyway
    world.run(30);
    vip.rate = rate;
    vip.sample.sources = 1000;
    const auto told = world.run(120);
    if (rate < vip.sample.floor) {
      EXPECT_THAT(told, IsEmpty());
    } else {
      EXPECT_THAT(told, ElementsAre("raised vip:web warning"));
    }
  }
}

TEST(AlertPatience, OfAHighRateItIsNotAskedHowManySend) {
  World world;
  Flow& flow = world.flow("vip", "web");
  flow.sample.sources = 12;
  flow.rate = 450;
  EXPECT_THAT(world.run(300), IsEmpty());
  flow.rate = 600;
  EXPECT_THAT(world.run(75), ElementsAre("raised vip:web warning"));
}

TEST(AlertPatience, WhatARuleLearnedBeforeARestartIsNotNeededToGoOn) {
  World before;
  Flow& prefix = before.flow("asymmetric", "192.0.2.0/24");
  before.run(800);
  prefix.rate = 50'000;
  before.run(60);
  World after;
  after.now.unix_s = before.now.unix_s + 5;
  after.engine.restore(before.engine.active());
  ASSERT_EQ(after.engine.active().size(), 1U);
  Flow& again = after.flow("asymmetric", "192.0.2.0/24");
  again.rate = 50'000;
  EXPECT_THAT(after.run(900), IsEmpty()) << "it goes on, and is not what is usual";
  again.rate = 0;
  EXPECT_THAT(after.run(200), ElementsAre("cleared asymmetric:192.0.2.0/24 critical"));
}

}  // namespace
}  // namespace tfo::alert::test
