// SPDX-License-Identifier: BSD-2-Clause
// Posts to servers that stand in for Alertmanager.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <systemd/sd-event.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "loader/alert/alertmanager.h"
#include "tests/support/canned_server.h"

namespace tfo::alert {
namespace {

using nlohmann::json;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using tfo::test::CannedServer;

/// A server whose answers the test switches.
struct Peer {
  std::atomic<int> status = 200;
  std::atomic<int64_t> clock = 0;  // unix seconds; 0: it does not tell
  CannedServer server{[this](const auto&) {
    auto reply = CannedServer::reply(status, "{}");
    if (clock == 0) return reply;
    const std::string date =
        fmt::format("Date: {:%a, %d %b %Y %H:%M:%S} GMT\r\n", fmt::gmtime(std::time_t{clock}));
    reply.bytes.insert(reply.bytes.find("Content-Type"), date);
    return reply;
  }};

  std::vector<json> bodies() const {
    std::vector<json> all;
    for (const auto& request : server.requests()) all.push_back(json::parse(request.body));
    return all;
  }
};

Alert alert_of(const std::string& subject, Severity severity = Severity::kWarning) {
  return {.rule = "vip",
          .subject = subject,
          .severity = severity,
          .raised_at = 1'700'000'000,
          .first_seen = 1'699'999'940,
          .measured = Measured{.rate = 80, .packets = 800},
          .evidence = {{"ports", {443}}}};
}

struct World {
  explicit World(const std::vector<std::string>& urls) : World(AlertmanagerConfig{.urls = urls}) {}
  explicit World(const AlertmanagerConfig& config) {
    sink =
        *Alertmanager::create(*loop, config, "edge1", {.timeout = std::chrono::milliseconds(2000)});
  }

  /// Ticks so many seconds of the injected clock, waiting each time for what was begun.
  void run(int seconds) {
    for (int i = 0; i < seconds; ++i) {
      now.steady_ms += 1000;
      now.unix_s += 1;
      sink->tick(now, active);
      settle();
    }
  }

  /// Until every peer has answered.
  void settle() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::ranges::any_of(sink->peers(), &PeerStatus::posting)) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "a peer does not answer";
      sd_event_run(loop->handle(), 100'000);
    }
  }

  bool wait_for(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!condition() && std::chrono::steady_clock::now() < end) run(1);
    return condition();
  }

  void raise(const Alert& alert) {
    active.push_back(alert);
    sink->take({.what = Change::What::kRaised, .alert = alert, .at = now.unix_s});
  }

  void clear(const std::string& subject) {
    const auto found = std::ranges::find(active, subject, &Alert::subject);
    sink->take({.what = Change::What::kCleared, .alert = *found, .at = now.unix_s});
    active.erase(found);
  }

  std::unique_ptr<EventLoop> loop = *EventLoop::create();
  std::unique_ptr<Alertmanager> sink;
  std::vector<Alert> active;
  Instant now{.steady_ms = 1'000'000, .unix_s = 1'700'000'000};
};

TEST(AlertAlertmanager, ItemsHaveTheLabelsAndNoOthers) {
  Alert alert = alert_of("web", Severity::kCritical);
  alert.pool = "edge";
  const json item = alertmanager_item(alert, "node1", "https://runbooks", 1'700'000'240);
  const json labels = {{"rule", "vip"},          {"kind", "reflection"}, {"victim", "web"},
                       {"severity", "critical"}, {"instance", "node1"},  {"pool", "edge"}};
  EXPECT_EQ(item["labels"], labels);
  EXPECT_EQ(item["startsAt"], "2023-11-14T22:13:20Z");
  EXPECT_EQ(item["endsAt"], "2023-11-14T22:17:20Z");
  EXPECT_EQ(item["annotations"]["evidence"], R"({"ports":[443]})");
  EXPECT_EQ(item["annotations"]["runbook_url"],
            "https://runbooks/reflection.md#tfosynackreflectionvip");
  EXPECT_THAT(item["annotations"]["description"].get<std::string>(), HasSubstr("800 packets"));
  const json numbers = json::parse(item["annotations"]["numbers"].get<std::string>());
  EXPECT_EQ(numbers["first_seen"], "2023-11-14T22:12:20Z");
  EXPECT_EQ(numbers["packets"], 800);
  EXPECT_EQ(numbers["rate"], 80);
  alert.pool.clear();
  alert.subject.clear();
  EXPECT_FALSE(alertmanager_item(alert, "n", "r", 0)["labels"].contains("pool"));
  EXPECT_FALSE(alertmanager_item(alert, "n", "r", 0)["labels"].contains("victim"));
  alert.severity = Severity::kWarning;
  EXPECT_EQ(alertmanager_item(alert, "n", "r", 0)["annotations"]["runbook_url"],
            "r/reflection.md#tfosynackreflectionlow");
  const json early = alertmanager_item(alert, "n", "r", 1'600'000'000);  // the clock was put back
  EXPECT_EQ(early["endsAt"], "2020-09-13T12:26:40Z") << "what ends later is not over";
  EXPECT_EQ(early["startsAt"], early["endsAt"]) << "it refuses an end before the beginning";
}

TEST(AlertAlertmanager, AllPeersHearAtOnceAndAgain) {
  Peer a;
  Peer b;
  World world({a.server.url(), b.server.url() + "/am"});
  world.run(3);
  EXPECT_THAT(a.bodies(), IsEmpty()) << "nothing to tell";
  world.raise(alert_of("web"));
  world.run(1);
  ASSERT_EQ(a.bodies().size(), 1U);
  ASSERT_EQ(b.bodies().size(), 1U);
  EXPECT_EQ(a.server.requests()[0].path, "/api/v2/alerts");
  EXPECT_EQ(b.server.requests()[0].path, "/am/api/v2/alerts");
  world.run(44);
  EXPECT_EQ(a.bodies().size(), 1U);
  world.run(2);
  ASSERT_EQ(a.bodies().size(), 2U);
  const json first = a.bodies()[0][0];
  const json second = a.bodies()[1][0];
  EXPECT_EQ(first["startsAt"], second["startsAt"]);
  EXPECT_EQ(first["labels"], second["labels"]);
  EXPECT_EQ(first["endsAt"], "2023-11-14T22:17:24Z") << "in 4 minutes";
  EXPECT_GT(second["endsAt"], first["endsAt"]);
}

TEST(AlertAlertmanager, ClearedOnesEndNow) {
  Peer peer;
  World world({peer.server.url()});
  world.raise(alert_of("web"));
  world.raise(alert_of("dns"));
  world.run(10);
  world.clear("web");
  world.run(1);
  ASSERT_EQ(peer.bodies().size(), 2U);
  const json body = peer.bodies()[1];
  ASSERT_EQ(body.size(), 2U);
  EXPECT_EQ(body[0]["labels"]["victim"], "web");
  EXPECT_EQ(body[0]["endsAt"], "2023-11-14T22:13:30Z");
  EXPECT_EQ(body[1]["labels"]["victim"], "dns");
  EXPECT_EQ(world.sink->peers()[0].resolved, 0U) << "it was taken";
  world.run(46);
  ASSERT_EQ(peer.bodies().size(), 3U);
  EXPECT_EQ(peer.bodies()[2][0], body[0]) << "perhaps for none: the peer's clock may be behind";
  world.run(250);
  EXPECT_EQ(peer.bodies().back().size(), 1U);
}

TEST(AlertAlertmanager, WhatEndedIsToldForAsLongAsItsOldEndIsAhead) {
  Peer peer;
  World world({.urls = {peer.server.url()},
               .resend = std::chrono::seconds(10),
               .expires = std::chrono::seconds(30)});
  world.raise(alert_of("web"));
  world.run(1);
  EXPECT_EQ(peer.bodies()[0][0]["endsAt"], "2023-11-14T22:13:51Z") << "in half a minute";
  world.run(10);
  EXPECT_EQ(peer.bodies().size(), 2U);
  world.clear("web");
  world.run(1);
  ASSERT_EQ(peer.bodies().size(), 3U);
  const json end = peer.bodies()[2];
  world.run(60);
  const auto bodies = peer.bodies();
  ASSERT_EQ(bodies.size(), 6U);
  EXPECT_THAT(std::vector(bodies.end() - 3, bodies.end()), Each(end));
}

TEST(AlertAlertmanager, WhatEndedByThePeersClockIsNotToldAgain) {
  Peer peer;
  World world({peer.server.url()});
  world.raise(alert_of("web"));
  world.run(10);
  peer.clock = world.now.unix_s - 30;
  world.clear("web");
  world.run(1);
  ASSERT_EQ(peer.bodies().size(), 2U);
  EXPECT_EQ(world.sink->peers()[0].resolved, 0U);
  peer.clock = world.now.unix_s + 15;
  world.run(50);
  EXPECT_EQ(peer.bodies().size(), 3U) << "it was half a minute behind";
  world.run(100);
  EXPECT_EQ(peer.bodies().size(), 3U);
}

TEST(AlertAlertmanager, OnlyTheKindsThatAreWantedArePosted) {
  Peer peer;
  World world({peer.server.url()});
  Alert other = alert_of("web");
  other.rule = "key_drift";
  world.raise(other);
  world.run(60);
  world.clear("web");
  world.run(60);
  EXPECT_THAT(peer.bodies(), IsEmpty()) << "Prometheus' rules tell of it";
  other.rule = "guard_evaded";
  world.raise(other);
  world.run(1);
  EXPECT_EQ(peer.bodies().size(), 1U);
}

TEST(AlertAlertmanager, AnotherSeverityEndsTheOneBefore) {
  Peer peer;
  World world({peer.server.url()});
  world.raise(alert_of("web"));
  world.run(5);
  world.active[0].severity = Severity::kCritical;
  world.sink->take({.what = Change::What::kSeverity,
                    .alert = world.active[0],
                    .was = Severity::kWarning,
                    .at = world.now.unix_s});
  world.run(1);
  const json body = peer.bodies().at(1);
  ASSERT_EQ(body.size(), 2U);
  EXPECT_EQ(body[0]["labels"]["severity"], "warning");
  EXPECT_EQ(body[0]["endsAt"], "2023-11-14T22:13:25Z");
  EXPECT_EQ(body[1]["labels"]["severity"], "critical");
}

TEST(AlertAlertmanager, APeerThatIsAwayLosesNothingAndHoldsUpNobody) {
  Peer good;
  Peer bad;
  bad.status = 503;
  World world({bad.server.url(), good.server.url()});
  world.raise(alert_of("web"));
  world.raise(alert_of("dns"));
  world.run(1);
  EXPECT_EQ(good.bodies().size(), 1U);
  world.run(5);
  world.clear("web");
  world.run(60);
  const auto status = world.sink->peers();
  EXPECT_EQ(status[0].posts, 0U);
  EXPECT_GE(status[0].failures, 5U);
  EXPECT_LE(status[0].failures, 9U) << "further and further apart";
  EXPECT_THAT(status[0].error, HasSubstr("503"));
  EXPECT_EQ(status[0].resolved, 1U);
  EXPECT_EQ(status[1].failures, 0U);
  bad.status = 200;
  ASSERT_TRUE(world.wait_for([&] { return world.sink->peers()[0].posts > 0; }));
  const json body = bad.bodies().back();
  ASSERT_EQ(body.size(), 2U);
  EXPECT_EQ(body[0]["labels"]["victim"], "web");
  EXPECT_EQ(body[0]["startsAt"], "2023-11-14T22:13:20Z");
  EXPECT_EQ(body[0]["endsAt"], "2023-11-14T22:13:26Z") << "when it was cleared";
  EXPECT_EQ(world.sink->peers()[0].resolved, 0U);
  EXPECT_EQ(world.sink->peers()[0].error, "");
}

TEST(AlertAlertmanager, NobodyThereIsTriedAgain) {
  std::string url;
  {
    const Peer gone;
    url = gone.server.url();
  }
  World world({url});
  world.raise(alert_of("web"));
  world.run(10);
  const auto status = world.sink->peers()[0];
  EXPECT_GE(status.failures, 3U);
  EXPECT_THAT(status.error, testing::Not(IsEmpty()));
}

TEST(AlertAlertmanager, WhatIsRaisedAgainIsNotEnded) {
  Peer peer;
  peer.status = 500;
  World world({peer.server.url()});
  world.raise(alert_of("web"));
  world.run(2);
  world.clear("web");
  world.run(2);
  Alert again = alert_of("web");
  again.raised_at += 60;
  world.raise(again);
  peer.status = 200;
  ASSERT_TRUE(world.wait_for([&] { return world.sink->peers()[0].posts > 0; }));
  ASSERT_EQ(peer.bodies().back().size(), 1U);
  EXPECT_EQ(peer.bodies().back()[0]["startsAt"], "2023-11-14T22:14:20Z");
  world.clear("web");
  world.run(2);
  world.raise(again);
  world.run(1);
  ASSERT_EQ(peer.bodies().back().size(), 1U) << "nor when its end was taken";
}

TEST(AlertAlertmanager, WhatIsClearedDuringAPostGoesWithTheNext) {
  Peer peer;
  World world({peer.server.url()});
  world.raise(alert_of("web"));
  world.sink->tick(world.now, world.active);  // under way
  world.clear("web");
  EXPECT_EQ(world.sink->peers()[0].posts, 0U);
  world.settle();
  EXPECT_EQ(world.sink->peers()[0].posts, 1U);
  EXPECT_EQ(world.sink->peers()[0].resolved, 1U);
  world.run(1);
  ASSERT_EQ(peer.bodies().size(), 2U);
  EXPECT_EQ(peer.bodies()[1][0]["labels"]["victim"], "web");
  EXPECT_EQ(peer.bodies()[1][0]["endsAt"], "2023-11-14T22:13:20Z");
  EXPECT_EQ(world.sink->peers()[0].resolved, 0U);
}

TEST(AlertAlertmanager, WhatIsToBeEndedIsBounded) {
  std::string url;
  {
    const Peer gone;
    url = gone.server.url();
  }
  World world({url});
  for (int i = 0; i < 400; ++i) {
    world.raise(alert_of("v" + std::to_string(i)));
    world.clear("v" + std::to_string(i));
  }
  EXPECT_EQ(world.sink->peers()[0].resolved, Alertmanager::kMostResolved);
}

TEST(AlertAlertmanager, Addresses) {
  EXPECT_EQ(*alertmanager_url("http://10.0.0.1:9093"), "http://10.0.0.1:9093");
  EXPECT_EQ(*alertmanager_url("https://am.example/team/"), "https://am.example/team");
  EXPECT_EQ(*alertmanager_url("http://[2001:db8::1]:9093/"), "http://[2001:db8::1]:9093");
  for (const char* bad : {"", "10.0.0.1:9093", "ftp://a", "http://", "http://u:secret@a:9093",
                          "http://a:9093/?x=1", "http://a:99999"}) {
    const auto url = alertmanager_url(bad);
    EXPECT_FALSE(url) << bad;
    if (!url) {
      EXPECT_EQ(url.error().message.find("secret"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace tfo::alert
