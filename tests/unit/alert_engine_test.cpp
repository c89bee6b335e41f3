// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/alert_world.h"

namespace tfo::alert::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Flow& vip(World& world, double rate, const std::string& name = "web") {
  Flow& flow = world.flow("vip", name);
  flow.rate = rate;
  flow.sample.sources = 100;
  return flow;
}

TEST(AlertEngine, WarningWaitsForItsHold) {
  World world;
  vip(world, 0);
  EXPECT_THAT(world.run(20), IsEmpty());
  vip(world, 60);
  // 60/s are a mean of 50/s over ten seconds after nine of them.
  EXPECT_THAT(world.run(67), IsEmpty());
  EXPECT_THAT(world.run(3), ElementsAre("raised vip:web warning"));
  EXPECT_THAT(world.run(300), IsEmpty());
  const Alert alert = world.engine.active().at(0);
  EXPECT_NEAR(alert.measured->rate, 60, 1);
  EXPECT_NEAR(static_cast<double>(alert.measured->packets), 370 * 60, 120);
  EXPECT_NEAR(static_cast<double>(alert.measured->bytes), 370 * 3600, 7200);
}

TEST(AlertEngine, AGapInTheAttackBeginsTheHoldAnew) {
  World world;
  vip(world, 60);
  EXPECT_THAT(world.run(60), IsEmpty());
  vip(world, 0);
  world.run(10);
  vip(world, 60);
  EXPECT_THAT(world.run(60), IsEmpty());
}

TEST(AlertEngine, CriticalIsFast) {
  const auto seconds_until = [](double rate) {
    World world;
    vip(world, 0);
    world.run(5);
    vip(world, rate);
    for (int second = 1; second < 30; ++second) {
      for (const std::string& told : world.run(1)) {
        if (told == "raised vip:web critical") return second;
      }
    }
    return 99;
  };
  EXPECT_LE(seconds_until(5'000), 7);
  EXPECT_LE(seconds_until(50'000), 4);
  EXPECT_EQ(seconds_until(4'900), 99);
}

TEST(AlertEngine, ItClearsBelowHalfAfterTwoMinutes) {
  World world;
  vip(world, 100);
  world.run(100);
  ASSERT_EQ(world.engine.active().size(), 1U);
  vip(world, 30);
  EXPECT_THAT(world.run(600), IsEmpty()) << "30/s is above half of 50/s";
  vip(world, 20);
  EXPECT_THAT(world.run(119), IsEmpty());
  EXPECT_THAT(world.run(12), ElementsAre("cleared vip:web warning"));
  EXPECT_EQ(world.last.why, "calm again");
  EXPECT_THAT(world.engine.active(), IsEmpty());
}

TEST(AlertEngine, ItDoesNotFlap) {
  World world;
  vip(world, 100);
  world.run(100);
  Told told;
  for (int i = 0; i < 10; ++i) {
    vip(world, 10);
    std::ranges::move(world.run(100), std::back_inserter(told));
    vip(world, 100);
    std::ranges::move(world.run(30), std::back_inserter(told));
  }
  EXPECT_THAT(told, IsEmpty());
}

TEST(AlertEngine, SeverityGoesUpAtOnceAndDownAfterCalm) {
  World world;
  vip(world, 100);
  EXPECT_THAT(world.run(100), ElementsAre("raised vip:web warning"));
  const int64_t raised = world.engine.active().at(0).raised_at;
  vip(world, 8'000);
  EXPECT_THAT(world.run(6), ElementsAre("severity vip:web critical"));
  EXPECT_EQ(world.last.was, Severity::kWarning);
  EXPECT_EQ(world.engine.active().at(0).raised_at, raised);
  vip(world, 100);
  EXPECT_THAT(world.run(115), IsEmpty());
  EXPECT_THAT(world.run(10), ElementsAre("severity vip:web warning"));
  EXPECT_GT(world.engine.active().at(0).measured->peak_rate, 4'000);
}

TEST(AlertEngine, EveryDemandMustBeMet) {
  World world;
  vip(world, 450).sample.sources = 19;
  EXPECT_THAT(world.run(100), IsEmpty()) << "one host that retransmits is no reflection";
  Flow& tracked = world.flow("tracked", "192.0.2.1");
  tracked.rate = 200;
  tracked.total_rate = 5'000;
  EXPECT_THAT(world.run(100), IsEmpty()) << "4 % of its SYN-ACKs";
  tracked.total_rate = 3'000;
  EXPECT_THAT(world.run(60), ElementsAre("raised tracked:192.0.2.1 warning"));
  World quiet;
  Flow& slow = quiet.flow("vip_slow", "web");
  slow.sample.sources = 60;
  slow.rate = 0.9;
  EXPECT_THAT(quiet.run(1'500), IsEmpty()) << "volume";
  slow.rate = 1.2;
  EXPECT_THAT(quiet.run(620), ElementsAre("raised vip_slow:web warning"));
}

TEST(AlertEngine, TheOwnBaselineCounts) {
  World world;
  Flow& slow = world.flow("vip_slow", "web");
  slow.sample.sources = 60;
  slow.rate = 0.5;
  world.run(7'200);
  slow.rate = 2.2;
  EXPECT_THAT(world.run(1'300), IsEmpty()) << "4.4 times its median";
  slow.rate = 4;
  EXPECT_THAT(world.run(900), ElementsAre("raised vip_slow:web warning"));
  EXPECT_NEAR(world.engine.active().at(0).measured->baseline, 0.5, 0.01);
}

TEST(AlertEngine, WhatIsNotReadyNeverAlarmsAndSaysSo) {
  for (const Readiness readiness :
       {Readiness::kNotWarm, Readiness::kUnproven, Readiness::kInhibited}) {
    World world;
    Flow& tracked = world.flow("tracked", "192.0.2.1");
    tracked.rate = 50'000;
    tracked.total_rate = 50'000;
    tracked.sample.readiness = readiness;
    tracked.sample.why = "started 10 s ago";
    EXPECT_THAT(world.run(300), IsEmpty());
    ASSERT_EQ(world.engine.waiting().size(), 1U);
    EXPECT_EQ(world.engine.waiting()[0].readiness, readiness);
    EXPECT_EQ(world.engine.waiting()[0].why, "started 10 s ago");
    tracked.sample.readiness = Readiness::kReady;
    EXPECT_THAT(world.run(2), IsEmpty()) << "the hold begins when it is ready";
    EXPECT_THAT(world.run(3), ElementsAre("raised tracked:192.0.2.1 critical"));
    EXPECT_THAT(world.engine.waiting(), IsEmpty());
    tracked.sample.readiness = readiness;
    EXPECT_THAT(world.run(600), IsEmpty()) << "what is raised stays while it goes on";
    tracked.rate = 0;
    EXPECT_THAT(world.run(118), IsEmpty());
    EXPECT_THAT(world.run(20), ElementsAre("cleared tracked:192.0.2.1 critical"));
  }
}

TEST(AlertEngine, ARuleMayHaveAWarmUpOfItsOwn) {
  World world;
  Flow& prefix = world.flow("asymmetric", "192.0.2.0/24");
  EXPECT_THAT(world.run(137), IsEmpty());
  EXPECT_THAT(world.engine.waiting().at(0).why, HasSubstr("of 137"));
  EXPECT_THAT(world.run(470), IsEmpty());
  prefix.rate = 100'000;
  prefix.total_rate = 100'000;
  EXPECT_THAT(world.run(35), ElementsAre("raised asymmetric:192.0.2.0/24 critical"));
}

TEST(AlertEngine, ClockJumpsNeitherRaiseNorLose) {
  for (const int64_t jump : {int64_t{-3'600'000}, int64_t{3'600'000}, int64_t{86'400'000}}) {
    World world;
    vip(world, 1);
    vip(world, 100, "hit");
    world.run(100);
    ASSERT_EQ(world.engine.active().size(), 1U);
    Told told;
    for (int i = 0; i < 3; ++i) {
      world.now.steady_ms += jump;
      world.now.unix_s += jump / 1000;
      std::ranges::move(world.tick(std::max<double>(1, static_cast<double>(jump) / 1000)),
                        std::back_inserter(told));
      std::ranges::move(world.run(20), std::back_inserter(told));
    }
    EXPECT_THAT(told, IsEmpty()) << jump;
    EXPECT_EQ(world.engine.active().size(), 1U);
  }
}

TEST(AlertEngine, TheWallClockOnlyDates) {
  World world;
  vip(world, 100);
  world.run(40);
  world.now.unix_s += 1'000'000;
  EXPECT_THAT(world.run(20), IsEmpty());
  EXPECT_THAT(world.run(10), ElementsAre("raised vip:web warning"));
  world.now.unix_s -= 2'000'000;
  EXPECT_THAT(world.run(100), IsEmpty());
}

TEST(AlertEngine, ALongWindowThatBeganAnewTellsOfNoCalm) {
  World world;
  Flow& slow = world.flow("vip_slow", "web");
  slow.sample.sources = 60;
  slow.rate = 1.5;
  EXPECT_THAT(world.run(700), ElementsAre("raised vip_slow:web warning"));
  world.now.steady_ms += 7'200'000;
  EXPECT_THAT(world.tick(1), IsEmpty());
  EXPECT_THAT(world.run(900), IsEmpty());
}

TEST(AlertEngine, CountersThatBeginAnewLoseNothing) {
  World world;
  Flow& flow = vip(world, 8'000);
  world.run(20);
  const uint64_t before = world.engine.active().at(0).measured->packets;
  flow.count = 0;
  EXPECT_THAT(world.run(30), IsEmpty());
  EXPECT_GT(world.engine.active().at(0).measured->packets, before + 20 * 8'000);
}

TEST(AlertEngine, CountersThatBeginAnewRaiseNothing) {
  World world;
  Flow& flow = world.flow("reflector", "web");  // no hold would hide it
  flow.rate = 20;
  flow.total_rate = 1'000;
  world.run(100);
  flow.count = flow.total = 0;
  EXPECT_THAT(world.run(30), IsEmpty());
}

TEST(AlertEngine, ACarpetAbsorbsItsAddresses) {
  World world;
  for (int i = 0; i < 3; ++i) {
    Flow& one = world.flow("tracked", "192.0.2." + std::to_string(i));
    one.rate = 150;
    one.total_rate = 150;
    one.sample.part_of = "192.0.2.0/24";
  }
  EXPECT_EQ(world.run(45).size(), 3U);
  Flow& carpet = world.flow("carpet", "192.0.2.0/24");
  carpet.rate = 3'000;
  carpet.sample.sources = 200;
  EXPECT_THAT(
      world.run(35),
      ElementsAre("raised carpet:192.0.2.0/24 warning", "cleared tracked:192.0.2.0 warning",
                  "cleared tracked:192.0.2.1 warning", "cleared tracked:192.0.2.2 warning"));
  EXPECT_EQ(world.last.why, "a wider alert holds it");
  EXPECT_EQ(world.engine.active().at(0).absorbed, 3U);
  Flow& other = world.flow("tracked", "198.51.100.1");
  other.rate = other.total_rate = 150;
  EXPECT_THAT(world.run(45), ElementsAre("raised tracked:198.51.100.1 warning"));
  world.flow("tracked", "192.0.2.1").rate = 12'000;
  EXPECT_THAT(world.run(10), ElementsAre("raised tracked:192.0.2.1 critical"))
      << "a warning does not absorb what is critical";
  carpet.rate = 0;
  EXPECT_THAT(world.run(140), Contains("raised tracked:192.0.2.2 warning")) << "it is news again";
}

TEST(AlertEngine, AbsorptionReachesThrough) {
  World world;
  vip(world, 100).sample.part_of = "192.0.2.0/24";
  Flow& slow = world.flow("vip_slow", "web");
  slow.rate = 100;
  slow.sample.sources = 100;
  Flow& carpet = world.flow("carpet", "192.0.2.0/24");
  carpet.rate = 1'000;
  carpet.sample.sources = 100;
  world.run(200);
  ASSERT_EQ(world.engine.active().size(), 1U);
  EXPECT_EQ(world.engine.active()[0].rule, "carpet");
}

TEST(AlertEngine, TheNumberOfAlertsIsBounded) {
  World world;
  for (int i = 0; i < 100; ++i) vip(world, 100, "w" + std::to_string(i));
  world.run(80);
  EXPECT_EQ(world.engine.active().size(), Engine::kMostOfARule);
  EXPECT_EQ(world.engine.crowded_out()[0], 100 - Engine::kMostOfARule);
  for (int i = 0; i < 100; ++i) vip(world, 9'000, "c" + std::to_string(i));
  world.run(10);
  EXPECT_EQ(world.engine.active().size(), Engine::kMost);
  EXPECT_EQ(world.engine.active()[0].severity, Severity::kCritical) << "there was room for them";
  EXPECT_EQ(world.engine.crowded_out()[1], 100 - (Engine::kMost - Engine::kMostOfARule));
  for (int i = 0; i < 100; ++i) vip(world, 0, "w" + std::to_string(i));
  world.run(140);
  EXPECT_EQ(world.engine.active().size(), Engine::kMost) << "those that waited take the places";
}

TEST(AlertEngine, StatesAreHeldToo) {
  World world;
  world.states = {{.rule = "key_drift", .subject = "web", .pool = "web", .text = "differs"}};
  EXPECT_THAT(world.run(120), IsEmpty());
  EXPECT_THAT(world.run(2), ElementsAre("raised key_drift:web critical"));
  const Alert alert = world.engine.active().at(0);
  EXPECT_EQ(alert.evidence["text"], "differs");
  EXPECT_EQ(alert.pool, "web");
  EXPECT_FALSE(alert.measured);
  EXPECT_EQ(alert.first_seen, 1'700'000'001);
  world.states.clear();
  EXPECT_THAT(world.run(119), IsEmpty());
  EXPECT_THAT(world.run(3), ElementsAre("cleared key_drift:web critical"));
  world.states = {{.rule = "guard_evaded", .subject = "web"}};
  EXPECT_THAT(world.run(1), ElementsAre("raised guard_evaded:web critical")) << "no hold";
}

TEST(AlertEngine, ASubjectThatGoesClears) {
  World world;
  vip(world, 8'000);
  world.run(10);
  world.flows.clear();
  EXPECT_THAT(world.run(119), IsEmpty());
  EXPECT_THAT(world.run(3), ElementsAre("cleared vip:web critical"));
}

TEST(AlertEngine, EvidenceIsCollectedWhenItIsWanted) {
  World world;
  int asked = 0;
  vip(world, 0).sample.evidence = [&] { return nlohmann::json{{"ports", {443}}, {"n", ++asked}}; };
  world.run(100);
  EXPECT_EQ(asked, 0);
  vip(world, 8'000);
  world.run(10);
  EXPECT_EQ(asked, 1);
  world.run(89);
  EXPECT_EQ(asked, 3 + (world.renewed - 2)) << "with each renewal";
  EXPECT_GE(world.renewed, 2);
  EXPECT_LE(world.renewed, 3) << "at most every 30 s";
  EXPECT_EQ(world.engine.active().at(0).evidence["n"], asked);
}

TEST(AlertEngine, AlertsSurviveARestart) {
  World before;
  vip(before, 8'000);
  before.run(60);
  const std::vector<Alert> saved = before.engine.active();
  World after;
  after.now.unix_s = before.now.unix_s + 5;
  after.engine.restore(saved);
  ASSERT_EQ(after.engine.active(), saved);
  vip(after, 8'000);
  EXPECT_THAT(after.run(30), IsEmpty()) << "it is not told again";
  EXPECT_EQ(after.engine.active().at(0).raised_at, saved[0].raised_at);
  EXPECT_GT(after.engine.active().at(0).measured->packets, saved[0].measured->packets + 200'000);
  vip(after, 0);
  EXPECT_THAT(after.run(140), ElementsAre("cleared vip:web critical"));
  World over;
  over.engine.restore(saved);
  EXPECT_THAT(over.run(130), ElementsAre("cleared vip:web critical")) << "over in the meantime";
}

TEST(AlertEngine, RulesThatGoTakeTheirAlertsAlong) {
  World world;
  vip(world, 8'000);
  world.run(10);
  std::vector<Rule> rules = default_rules();
  std::erase_if(rules, [](const Rule& rule) { return rule.id == "carpet"; });
  world.engine.set_rules(rules);
  EXPECT_THAT(world.run(60), IsEmpty()) << "another rule went";
  std::erase_if(rules, [](const Rule& rule) { return rule.id == "vip"; });
  world.engine.set_rules(rules);
  EXPECT_THAT(world.run(1), ElementsAre("cleared vip:web critical"));
  EXPECT_THAT(world.run(60), IsEmpty());
}

TEST(AlertEngine, ALateTickIsNoJump) {
  World world;
  vip(world, 100);
  for (int i = 0; i < 10; ++i) {
    world.now.steady_ms += 10'000;
    world.now.unix_s += 10;
    world.tick(10);
  }
  EXPECT_EQ(world.engine.active().size(), 1U);
}

}  // namespace
}  // namespace tfo::alert::test
