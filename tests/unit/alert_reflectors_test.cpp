// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "loader/alert/reflectors.h"
#include "tests/unit/alert_world.h"

namespace tfo::alert {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

struct Reflection {
  Reflection() {
    for (const char* name : {"web", "dns"}) {
      view.guard.push_back({.vip = name, .limit = 128, .vip_limit = 512});
      view.counters.vips.emplace_back();
      view.counters.vips.back().name = name;
      config.vips.emplace_back();
      config.vips.back().name = name;
      config.vips.back().pool = std::string(name) + "-keys";
    }
  }

  std::optional<Sample> sample(std::string_view rule, std::string_view subject) {
    input = {};
    reflectors(view, config, input);
    for (const Sample& one : input.samples) {
      if (one.rule == rule && one.subject == subject) return one;
    }
    return std::nullopt;
  }

  View view;
  tfo::Config config;
  Input input;
};

TEST(AlertReflectors, AVipsHandshakesThatCameToNothing) {
  Reflection world;
  GuardVipView& web = world.view.guard[0];
  web.handshakes = {.opened = 900, .unanswered = 200, .reset = 40};
  web.networks = {{"198.51.100.0/24", {.opened = 200, .unanswered = 20, .reset = 40}},
                  {"203.0.113.0/24", {.opened = 180, .unanswered = 180}}};
  world.view.counters.vips[0].guard.outcome[TFO_OUTCOME_TIMEOUT] = 3;
  KernelMib mib{};
  mib[0] = 7;
  world.view.namespaces = {{.name = "self", .pool = "web-keys", .mib = mib},
                           {.name = "other", .pool = "dns-keys", .mib = mib}};
  const Sample sample = world.sample("reflector", "web").value();
  EXPECT_EQ(sample.count, 240U);
  EXPECT_EQ(sample.total, 900U);
  EXPECT_EQ(sample.pool, "web-keys");
  EXPECT_EQ(sample.readiness, Readiness::kReady);
  const json evidence = sample.evidence();
  EXPECT_EQ(evidence["handshakes"],
            json({{"opened", 900}, {"unanswered_within_3_s", 200}, {"reset", 40}}));
  ASSERT_EQ(evidence["client_networks"].size(), 2U);
  EXPECT_EQ(evidence["client_networks"][0]["network"], "203.0.113.0/24") << "the worst first";
  EXPECT_EQ(evidence["client_networks"][0]["share"], 0.75);
  EXPECT_EQ(evidence["client_networks"][1]["reset"], 40);
  EXPECT_EQ(evidence["outcomes_ever"]["timeout"], 3);
  EXPECT_EQ(evidence["guard"]["limit_of_a_network"], 128);
  EXPECT_EQ(evidence["kernel_counters_ever"], json({{"self", {{"TCPFastOpenPassive", 7}}}}));
}

/// What a network had failed before anybody counted it is shown; a rule's counter begins at 0.
TEST(AlertReflectors, ANetworkThatIsNewIsShownWithItsPast) {
  Reflection world;
  world.view.guard[0].handshakes = {.opened = 500, .reset = 400};
  world.view.guard[0].networks = {
      {.network = "203.0.113.0/24", .handshakes = {.opened = 400, .reset = 400}, .fresh = true}};
  EXPECT_EQ(world.sample("reflector", "web")->evidence()["client_networks"][0]["share"], 1);
  EXPECT_EQ(world.sample("reflector_network", "203.0.113.0/24")->count, 0U);
  world.view.guard[0].networks[0].fresh = false;
  EXPECT_EQ(world.sample("reflector_network", "203.0.113.0/24")->count, 400U);
}

TEST(AlertReflectors, OnlyTheTenWorstNetworksAreNamed) {
  Reflection world;
  for (unsigned i = 0; i < 300; ++i) {
    const std::string name = "10." + std::to_string(i / 256) + "." + std::to_string(i % 256);
    world.view.guard[0].networks.push_back(
        {name + ".0/24", {.opened = 100, .unanswered = i, .reset = 0}});
  }
  const json evidence = world.sample("reflector", "web")->evidence();
  ASSERT_EQ(evidence["client_networks"].size(), 10U);
  EXPECT_EQ(evidence["client_networks"][0]["network"], "10.1.43.0/24");
  EXPECT_EQ(fit_evidence(evidence), evidence) << "all of it has room";
}

TEST(AlertReflectors, NetworksOverAllVips) {
  Reflection world;
  world.view.guard[0].networks = {{"203.0.113.0/24", {.opened = 40, .unanswered = 30}}};
  world.view.guard[1].networks = {{"203.0.113.0/24", {.opened = 40, .reset = 35}}};
  const Sample sample = world.sample("reflector_network", "203.0.113.0/24").value();
  EXPECT_EQ(sample.count, 65U);
  EXPECT_EQ(sample.total, 80U);
  EXPECT_EQ(sample.pool, "") << "it would change with the VIPs";
  EXPECT_EQ(sample.part_of, "dns");
  const json evidence = sample.evidence();
  EXPECT_EQ(evidence["handshakes"]["opened"], 80);
  EXPECT_EQ(evidence["vips"]["dns"]["handshakes"]["reset"], 35);
  EXPECT_EQ(evidence["vips"]["web"]["handshakes"]["unanswered_within_3_s"], 30);
  EXPECT_EQ(evidence["capture"], "net 203.0.113.0/24 and tcp");
}

TEST(AlertReflectors, BlindGuardsProveNothingAndOnesThatAreOffSayNothing) {
  Reflection world;
  world.view.guard[0].networks = {{"203.0.113.0/24", {.opened = 40, .unanswered = 30}}};
  world.view.guard[0].blind = true;
  EXPECT_EQ(world.sample("reflector", "web")->readiness, Readiness::kUnproven);
  const Sample network = world.sample("reflector_network", "203.0.113.0/24").value();
  EXPECT_EQ(network.readiness, Readiness::kUnproven);
  EXPECT_THAT(network.why, HasSubstr("guard_blind"));
  world.view.guard[0].on = false;
  world.view.guard[0].networks.clear();
  EXPECT_FALSE(world.sample("reflector", "web"));
  EXPECT_TRUE(world.sample("reflector", "dns"));
}

TEST(AlertReflectors, TheGuardsAlertsHaveTheSameEvidence) {
  Reflection world;
  world.view.guard[0].networks = {{"203.0.113.0/24", {.opened = 40, .unanswered = 30}}};
  world.view.conditions = {{.id = "guard_active", .subject = "web", .evidence = "seen"},
                           {.id = "generic_mode", .subject = "eth0", .evidence = "why"}};
  Feeder feeder;
  world.input = feeder.read(world.view, world.config, 1);
  ASSERT_EQ(world.input.states.size(), 2U);
  EXPECT_EQ(world.input.states[0].evidence()["client_networks"][0]["network"], "203.0.113.0/24");
  EXPECT_FALSE(world.input.states[1].evidence);
  Engine engine{default_rules()};
  Instant now{.steady_ms = 5'000'000, .unix_s = 1'700'000'000};
  for (int i = 0; i < 301; ++i) {
    engine.tick(now, {}, world.input.states);
    now.steady_ms += 1000;
  }
  const auto active = engine.active();
  ASSERT_EQ(active.size(), 1U);
  EXPECT_EQ(active[0].evidence["text"], "seen");
  EXPECT_EQ(active[0].evidence["client_networks"].size(), 1U);
}

/// What the rules make of it, by default: at a VIP with 20 honest handshakes a second.
struct Abuse {
  /// `failed` of the `opened` handshakes of each second come to nothing.
  void run(int seconds, unsigned opened, unsigned failed, unsigned of_one_network) {
    for (int i = 0; i < seconds; ++i) {
      GuardVipView& web = world.view.guard[0];
      web.handshakes.opened += opened;
      web.handshakes.unanswered += failed;
      web.networks.resize(1);
      web.networks[0].network = "203.0.113.0/24";
      web.networks[0].handshakes.opened += of_one_network;
      web.networks[0].handshakes.unanswered += of_one_network;
      world.input = {};
      reflectors(world.view, world.config, world.input);
      now.steady_ms += 1000;
      now.unix_s += 1;
      for (const Change& change : engine.tick(now, world.input.samples, {})) {
        if (change.what == Change::What::kEvidence) continue;
        told.push_back(std::string(to_string(change.what)) + " " + change.alert.id() + " " +
                       std::string(to_string(change.alert.severity)));
      }
    }
  }
  test::Told take() { return std::exchange(told, {}); }

  Reflection world;
  Engine engine{default_rules()};
  Instant now{.steady_ms = 5'000'000, .unix_s = 1'700'000'000};
  test::Told told;
};

TEST(AlertReflectors, HonestClientsRaiseNothing) {
  Abuse abuse;
  abuse.run(300, 100, 19, 0);
  EXPECT_THAT(abuse.take(), IsEmpty()) << "one in five may be silent";
  Abuse few;
  few.run(300, 1, 1, 0);
  EXPECT_THAT(few.take(), testing::ElementsAre("raised reflector:web warning")) << "50 in a minute";
  Abuse fewer;
  fewer.run(59, 0, 0, 0);
  fewer.run(49, 1, 1, 0);
  fewer.run(300, 0, 0, 0);
  EXPECT_THAT(fewer.take(), IsEmpty());
}

TEST(AlertReflectors, OneNetworkAmongMany) {
  Abuse abuse;
  abuse.run(120, 100, 2, 2);
  EXPECT_THAT(abuse.take(), testing::ElementsAre("raised reflector_network:203.0.113.0/24 warning"))
      << "the VIP does not notice";
  EXPECT_EQ(abuse.engine.active()[0].evidence["vips"]["web"]["handshakes"]["opened"],
            abuse.engine.active()[0].evidence["handshakes"]["opened"]);
  abuse.run(400, 100, 0, 0);
  EXPECT_THAT(abuse.take(),
              testing::ElementsAre("cleared reflector_network:203.0.113.0/24 warning"));
}

TEST(AlertReflectors, AVipThatIsAbusedHoldsItsNetworks) {
  Abuse abuse;
  abuse.run(120, 20, 18, 15);
  EXPECT_EQ(abuse.engine.active().size(), 1U);
  EXPECT_EQ(abuse.engine.active()[0].id(), "reflector:web");
  EXPECT_EQ(abuse.engine.active()[0].severity, Severity::kCritical);
  EXPECT_EQ(abuse.engine.active()[0].absorbed, 1U);
  EXPECT_EQ(abuse.engine.active()[0].evidence["client_networks"][0]["network"], "203.0.113.0/24");
}

}  // namespace
}  // namespace tfo::alert
