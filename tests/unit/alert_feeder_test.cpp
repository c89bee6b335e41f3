// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "loader/alert/feeder.h"

namespace tfo::alert::alert_feeder_test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

struct World {
  World() {
    view.now = 1'700'000'000;
    view.pools = {{.name = "edge", .store = "etcd", .state = "steady"}};
    view.counters.vips.resize(2);
    view.counters.vips[0].name = "web";
    view.counters.vips[1].name = "dns";
    config.vips.resize(2);
    config.vips[0].name = "web";
    config.vips[0].pool = "edge";
    config.vips[1].name = "dns";
    config.vips[1].pool = "edge";
    config.vips[1].guard.on = false;
  }

  void count(size_t vip, unsigned reason, uint64_t count) {
    view.counters.vips[vip].counters.cell[reason][TFO_OPTION_34][0] += count;
  }

  const Input& read() {
    input = feeder.read(view, config, boot_s);
    return input;
  }

  std::optional<Sample> sample(std::string_view rule, std::string_view subject) {
    read();
    for (const Sample& one : input.samples) {
      if (one.rule == rule && one.subject == subject) return one;
    }
    return std::nullopt;
  }

  /// "rule:subject/pool" of every state.
  std::vector<std::string> states() {
    std::vector<std::string> all;
    for (const State& one : read().states) {
      all.push_back(one.rule + ":" + one.subject + "/" + one.pool);
    }
    return all;
  }

  View view;
  tfo::Config config;
  Feeder feeder;
  Input input;
  int64_t boot_s = 10'000;
};

TEST(AlertFeeder, CountsInvalidCookiesOfAllThatWereChecked) {
  World world;
  world.count(0, TFO_COOKIE_INVALID, 5);
  world.count(0, TFO_COOKIE_LENGTH, 2);
  world.count(0, TFO_COOKIE_REVOKED, 1);
  world.count(0, TFO_COOKIE_CURRENT, 10);
  world.count(0, TFO_COOKIE_PREVIOUS, 20);
  world.count(0, TFO_COOKIE_RETIRED, 30);
  world.count(0, TFO_COOKIE_STAGED, 40);
  world.count(0, TFO_PLAIN, 1'000);
  const Sample sample = world.sample("invalid_cookie_ratio", "web").value();
  EXPECT_EQ(sample.count, 7U);
  EXPECT_EQ(sample.total, 108U);
  EXPECT_EQ(sample.pool, "edge");
  EXPECT_EQ(sample.readiness, Readiness::kReady);
  const json evidence = sample.evidence();
  EXPECT_EQ(evidence["reasons_ever"]["cookie_invalid"], 5);
  EXPECT_EQ(evidence["reasons_ever"]["plain"], 1'000);
  EXPECT_FALSE(evidence["reasons_ever"].contains("request"));
}

TEST(AlertFeeder, ARotationInhibitsTheInvalidRatio) {
  World world;
  for (const char* state : {"prepare", "staged", "minting"}) {
    world.view.pools[0].state = state;
    const Sample sample = world.sample("invalid_cookie_ratio", "web").value();
    EXPECT_EQ(sample.readiness, Readiness::kInhibited) << state;
    EXPECT_THAT(sample.why, HasSubstr(state));
  }
  world.view.pools[0].store = "derived";
  EXPECT_EQ(world.sample("invalid_cookie_ratio", "web")->readiness, Readiness::kReady)
      << "its keys always move";
  world.view.pools[0].store = "etcd";
  world.view.pools[0].state = "steady";
  EXPECT_EQ(world.sample("invalid_cookie_ratio", "web")->readiness, Readiness::kReady);
}

TEST(AlertFeeder, ARevocationInhibitsItForAnHour) {
  World world;
  const auto readiness = [&] { return world.sample("invalid_cookie_ratio", "web")->readiness; };
  world.view.pools[0].keys = {{.id = "01", .place = "current"}};
  EXPECT_EQ(readiness(), Readiness::kReady);
  world.view.pools[0].keys.push_back({.id = "02", .place = "revoked"});
  EXPECT_EQ(readiness(), Readiness::kInhibited);
  world.boot_s += Feeder::kAfterRevoke - 1;
  EXPECT_EQ(readiness(), Readiness::kInhibited);
  world.boot_s += 1;
  EXPECT_EQ(readiness(), Readiness::kReady);
  world.view.pools[0].keys.push_back({.id = "03", .place = "revoked"});
  EXPECT_EQ(readiness(), Readiness::kInhibited) << "another one";
  world.view.pools[0].keys.pop_back();
  world.boot_s += Feeder::kAfterRevoke;
  EXPECT_EQ(readiness(), Readiness::kReady);
  EXPECT_EQ(readiness(), Readiness::kReady) << "one that is forgotten is no news";
  world.feeder = Feeder();
  EXPECT_EQ(readiness(), Readiness::kInhibited) << "after a restart it may have been just now";
}

TEST(AlertFeeder, KernelCountersAndLostEvents) {
  World world;
  KernelMib mib{};
  mib[4] = 77;
  mib[0] = 5;
  world.view.namespaces = {{.name = "self", .pool = "edge", .mib = mib}, {.name = "old"}};
  const Sample overflow = world.sample("listen_overflow", "self").value();
  EXPECT_EQ(overflow.count, 77U);
  EXPECT_EQ(overflow.pool, "edge");
  const json counters = overflow.evidence()["kernel_counters_ever"];
  EXPECT_EQ(counters, json({{"TCPFastOpenListenOverflow", 77}, {"TCPFastOpenPassive", 5}}));
  EXPECT_FALSE(world.sample("listen_overflow", "old"));
  world.view.counters.vips[0].guard.events_lost = 4;
  world.view.counters.vips[1].guard.events_lost = 2;
  const Sample lost = world.sample("events_lost", "guard").value();
  EXPECT_EQ(lost.count, 6U);
  EXPECT_EQ(lost.evidence()["lost_ever"], json({{"web", 4}, {"dns", 2}}));
}

TEST(AlertFeeder, ConditionsBecomeStates) {
  World world;
  EXPECT_THAT(world.states(), IsEmpty());
  for (const char* id : {"guard_active", "guard_blind", "guard_evaded", "drop_disarmed",
                         "syn_cookies", "cookie_not_required", "generic_mode"}) {
    world.view.conditions = {{.id = id, .subject = "web", .evidence = "seen"}};
    EXPECT_THAT(world.states(), testing::ElementsAre(std::string(id) + ":web/edge"));
    EXPECT_EQ(world.input.states[0].text, "seen");
  }
  world.view.conditions = {{.id = "key_fight", .subject = "edge/self"},
                           {.id = "rotation_held", .subject = "edge"},
                           {.id = "ring_stale", .subject = "edge"},
                           {.id = "kernel_counters_failed", .subject = "self"}};
  EXPECT_THAT(world.states(),
              testing::ElementsAre("key_drift:edge/self/edge", "rotation_stuck:edge/edge",
                                   "key_stale:edge/edge"));
}

TEST(AlertFeeder, PoolsTellOfStuckRotationsAndStaleKeys) {
  World world;
  world.view.pools[0].state = "staged";
  EXPECT_THAT(world.states(), testing::ElementsAre("rotation_stuck:edge/edge"));
  world.view.pools[0].state = "steady";
  world.view.pools[0].keys = {
      {.id = "01", .place = "current", .not_after = world.view.now + Feeder::kStale - 1},
      {.id = "02", .place = "retired", .not_after = world.view.now}};
  EXPECT_THAT(world.states(), testing::ElementsAre("key_stale:edge/edge"));
  world.view.pools[0].keys[0].not_after += 1;
  EXPECT_THAT(world.states(), IsEmpty());
  KeyView& short_lived = world.view.pools[0].keys[0];
  short_lived.not_after = world.view.now + 300;
  short_lived.created_at = world.view.now - 900;
  EXPECT_THAT(world.states(), IsEmpty()) << "a quarter of its 20 minutes is left";
  short_lived.created_at -= 4;
  EXPECT_THAT(world.states(), testing::ElementsAre("key_stale:edge/edge"));
  world.view.pools[0].keys[0].not_after = 0;
  EXPECT_THAT(world.states(), IsEmpty()) << "no end";
  world.view.pools[0] = {.name = "edge",
                         .store = "derived",
                         .state = "staged",
                         .keys = {{.id = "01", .place = "current", .not_after = 1}}};
  EXPECT_THAT(world.states(), IsEmpty()) << "by the clock";
}

TEST(AlertFeeder, EveryRuleThatItFeedsIsKnown) {
  World world;
  world.view.namespaces = {{.name = "self", .mib = KernelMib{}}};
  world.view.namespaces[0].mib->at(4) = 1;
  for (const ConditionKind& kind : condition_kinds()) {
    world.view.conditions.push_back({.id = std::string(kind.id), .subject = "x"});
  }
  const Input& input = world.read();
  const auto feed_of = [](const std::string& id) -> std::optional<Feed> {
    const auto found = std::ranges::find(default_rules(), id, &Rule::id);
    if (found == default_rules().end()) return std::nullopt;
    return found->feed;
  };
  EXPECT_GE(input.states.size(), 12U);
  for (const State& one : input.states) EXPECT_EQ(feed_of(one.rule), Feed::kState) << one.rule;
  for (const Sample& one : input.samples) {
    EXPECT_EQ(feed_of(one.rule), Feed::kCounters) << one.rule;
  }
}

}  // namespace
}  // namespace tfo::alert::alert_feeder_test
