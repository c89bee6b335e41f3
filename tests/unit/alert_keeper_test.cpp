// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "loader/alert/keeper.h"

namespace tfo::alert::alert_keeper_test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Alert full_alert() {
  return {.rule = "vip",
          .subject = "web",
          .pool = "edge",
          .severity = Severity::kCritical,
          .raised_at = 1,
          .first_seen = 2,
          .last_seen = 3,
          .updated_at = 4,
          .measured = Measured{.rate = 1.5,
                               .peak_rate = 2.5,
                               .share = 0.5,
                               .baseline = 0.25,
                               .packets = 1ULL << 60,
                               .bytes = 8,
                               .sources = 9},
          .absorbed = 3,
          .evidence = {{"ports", {443, 80}}}};
}

TEST(Alert, ComesBackFromItsJson) {
  Alert alert = full_alert();
  EXPECT_EQ(*alert_from_json(json::parse(alert_json(alert).dump())), alert);
  alert.measured.reset();
  alert.evidence = nullptr;
  EXPECT_EQ(*alert_from_json(json::parse(alert_json(alert).dump())), alert);
  for (const char* field : {"rule", "subject", "pool", "severity", "raised_at", "first_seen",
                            "last_seen", "updated_at", "absorbed", "bytes", "sources"}) {
    json without = alert_json(full_alert());
    without.erase(field);
    EXPECT_FALSE(alert_from_json(without)) << field;
    without[field] = json::array();
    EXPECT_FALSE(alert_from_json(without)) << field;
  }
}

/// A damaged file must not stop the telling of everything else.
TEST(Alert, WhatCannotBeRightDoesNotComeBack) {
  const std::pair<const char*, json> wrong[] = {{"raised_at", int64_t{9'000'000'000'000'000'000}},
                                                {"raised_at", -1},
                                                {"raised_at", 1e300},
                                                {"first_seen", 1.5},
                                                {"packets", -5},
                                                {"absorbed", -1},
                                                {"rate", -1.0},
                                                {"subject", "web\nerror: forged"},
                                                {"subject", std::string(300, 'x')}};
  for (const auto& [field, value] : wrong) {
    json damaged = alert_json(full_alert());
    damaged[field] = value;
    EXPECT_FALSE(alert_from_json(damaged)) << field << ' ' << value;
  }
  json large = alert_json(full_alert());
  large["evidence"] = {{"text", std::string(100'000, 'x')}};
  EXPECT_LE(alert_from_json(large)->evidence.dump().size(), kMaxEvidence);
}

TEST(Alert, EvidenceIsCutToItsLimit) {
  json evidence = {{"ports", json::array()}, {"rate", 5}, {"top", {{"prefixes", json::array()}}}};
  for (int i = 0; i < 2000; ++i) evidence["ports"].push_back(i);
  for (int i = 0; i < 100; ++i) evidence["top"]["prefixes"].push_back("192.0.2.0/24");
  const json fit = fit_evidence(evidence);
  EXPECT_LE(fit.dump().size(), kMaxEvidence);
  EXPECT_GT(fit.dump().size(), kMaxEvidence / 4);
  EXPECT_EQ(fit["rate"], 5);
  EXPECT_EQ(fit["cut"], true);
  EXPECT_EQ(fit["ports"][0], 0) << "lists lose their ends";
  EXPECT_EQ(fit["top"]["prefixes"].size(), 100U) << "the longest one first";
  EXPECT_EQ(fit_evidence({{"a", std::string(5000, 'x')}, {"b", 1}}),
            json({{"b", 1}, {"cut", true}}));
  EXPECT_EQ(fit_evidence("words"), json({{"text", "words"}}));
  EXPECT_EQ(fit_evidence(nullptr), json());
}

struct World {
  World() {
    char name[] = "/tmp/tfo_alert_keeper.XXXXXX";
    directory = mkdtemp(name);
    open(1);
  }
  ~World() { std::filesystem::remove_all(directory); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void open(int64_t run) {
    keeper = std::make_unique<Keeper>(*loop, "edge1", path(), run);
    restored = keeper->restore();
    EXPECT_TRUE(keeper->configure(config));
  }

  std::string path() const { return directory / "default.alerts"; }

  void run(int seconds, const std::vector<State>& states) {
    for (int i = 0; i < seconds; ++i) {
      now.steady_ms += 1000;
      now.unix_s += 1;
      keeper->tick(now, {}, states);
    }
  }

  json ask(const std::string& name, const json& request = json::object()) const {
    const auto reply = keeper->command(name, request);
    return reply ? *reply : json(reply.error().message);
  }

  std::filesystem::path directory;
  std::unique_ptr<EventLoop> loop = *EventLoop::create();
  Config config;
  std::unique_ptr<Keeper> keeper;
  Result<> restored;
  Instant now{.steady_ms = 1'000'000, .unix_s = 1'700'000'000};
};

const std::vector<State> kEvaded = {{.rule = "guard_evaded", .subject = "web", .text = "so"}};

TEST(AlertKeeper, ListsAndShows) {
  World world;
  world.run(5, kEvaded);
  json list = world.ask("alert-list");
  ASSERT_EQ(list["alerts"].size(), 1U);
  EXPECT_EQ(list["alerts"][0]["id"], "guard_evaded:web");
  EXPECT_EQ(list["alerts"][0]["kind"], "guard");
  EXPECT_EQ(list["alerts"][0]["raised_at"], 1'700'000'001);
  EXPECT_EQ(list["crowded_out"]["critical"], 0);
  EXPECT_EQ(world.ask("alert-show", {{"id", "guard_evaded:web"}}), list["alerts"][0]);
  EXPECT_EQ(world.ask("alert-show", {{"id", "guard_evaded:dns"}}), json());
  world.run(130, {});
  EXPECT_THAT(world.ask("alert-list")["alerts"], IsEmpty());
  const json cleared = world.ask("alert-show", {{"id", "guard_evaded:web"}});
  EXPECT_EQ(cleared["cleared"]["why"], "calm again");
  EXPECT_THAT(world.ask("alert-show").get<std::string>(), HasSubstr("give \"id\""));
  EXPECT_THAT(world.ask("alert-x").get<std::string>(), HasSubstr("alert-changes"));
}

TEST(AlertKeeper, CountsEveryRuleThatIsOn) {
  World world;
  std::erase_if(world.config.rules, [](const Rule& rule) { return rule.id == "vip"; });
  ASSERT_TRUE(world.keeper->configure(world.config));
  world.run(5, kEvaded);
  size_t raised = 0;
  bool slow = false;
  for (const Count& one : world.keeper->overview().counts) {
    EXPECT_NE(one.rule, "vip");
    if (one.rule == "vip_slow") EXPECT_EQ(one.severity, Severity::kWarning) << "no critical level";
    slow = slow || one.rule == "vip_slow";
    if (one.rule == "guard_evaded") EXPECT_EQ(one.raised, 1U);
    raised += one.raised;
  }
  EXPECT_TRUE(slow);
  EXPECT_EQ(raised, 1U);
}

TEST(AlertKeeper, ChangesCanBeFollowed) {
  World world;
  json now = world.ask("alert-changes");
  EXPECT_EQ(now["seq"], 0);
  world.run(5, kEvaded);
  now = world.ask("alert-changes", {{"after", 0}, {"run", 1}});
  ASSERT_EQ(now["changes"].size(), 1U);
  EXPECT_EQ(now["changes"][0]["what"], "raised");
  EXPECT_EQ(now["changes"][0]["seq"], 1);
  EXPECT_THAT(world.ask("alert-changes", {{"after", 1}, {"run", 1}})["changes"], IsEmpty());
  EXPECT_EQ(world.ask("alert-changes", {{"after", 1}, {"run", 2}})["changes"].size(), 1U)
      << "another start counts anew";
  EXPECT_THAT(world.ask("alert-changes")["changes"], IsEmpty()) << "only where it stands";
  for (int i = 0; i < 150; ++i) {
    world.run(1, kEvaded);
    world.run(122, {});
  }
  now = world.ask("alert-changes", {{"after", 1}, {"run", 1}});
  EXPECT_EQ(now["changes"].size(), Keeper::kMostChanges);
  EXPECT_EQ(now["missed"].get<size_t>(), now["seq"].get<size_t>() - 1 - Keeper::kMostChanges);
  EXPECT_EQ(now["changes"].back()["seq"], now["seq"]);
}

TEST(AlertKeeper, ARestartKeepsTheBeginning) {
  World world;
  world.run(5, kEvaded);
  struct stat status{};
  ASSERT_EQ(stat(world.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  world.open(2);
  ASSERT_TRUE(world.restored);
  world.run(20, kEvaded);
  const json list = world.ask("alert-list");
  ASSERT_EQ(list["alerts"].size(), 1U);
  EXPECT_EQ(list["alerts"][0]["raised_at"], 1'700'000'001);
  EXPECT_EQ(list["seq"], 0) << "it was told before";
  EXPECT_EQ(list["alerts"][0]["last_seen"], world.now.unix_s);
  world.keeper.reset();
  world.open(2);
  EXPECT_EQ(world.ask("alert-list")["alerts"][0]["last_seen"], world.now.unix_s) << "at its end";
  world.run(65, kEvaded);
  std::filesystem::copy_file(world.path(), world.path() + ".killed");
  world.keeper.reset();
  std::filesystem::rename(world.path() + ".killed", world.path());
  world.open(2);
  EXPECT_GE(world.ask("alert-list")["alerts"][0]["last_seen"], world.now.unix_s - 30);
  world.run(130, {});
  world.open(3);
  EXPECT_THAT(world.ask("alert-list")["alerts"], IsEmpty());
}

TEST(AlertKeeper, ADamagedFileIsSaidAndReplaced) {
  World world;
  std::ofstream(world.path()) << "{\"format\": \"tfoguard alerts\", \"version\": 1, \"alerts\": [{";
  std::filesystem::permissions(world.path(), std::filesystem::perms(0600));
  world.open(2);
  ASSERT_FALSE(world.restored);
  EXPECT_THAT(world.restored.error().message, HasSubstr("default.alerts"));
  world.run(1, kEvaded);
  world.open(3);
  EXPECT_TRUE(world.restored);
  EXPECT_EQ(world.ask("alert-list")["alerts"].size(), 1U);
}

TEST(AlertKeeper, AFileThatCannotBeWrittenIsTriedAgain) {
  World world;
  std::filesystem::create_directory(world.path() + ".new");
  world.run(3, kEvaded);
  EXPECT_THAT(world.keeper->unsaved(), HasSubstr("default.alerts"));
  std::filesystem::remove(world.path() + ".new");
  world.run(1, kEvaded);
  EXPECT_EQ(world.keeper->unsaved(), "");
  EXPECT_TRUE(std::filesystem::exists(world.path()));
}

TEST(AlertKeeper, ReconfiguringKeepsWhatIsRaised) {
  World world;
  world.run(5, kEvaded);
  world.config.alertmanager.urls = {"http://127.0.0.1:9"};
  world.config.command.path = "/bin/true";
  ASSERT_TRUE(world.keeper->configure(world.config));
  world.run(1, kEvaded);
  const json list = world.ask("alert-list");
  EXPECT_EQ(list["alerts"].size(), 1U);
  EXPECT_EQ(list["alertmanager"][0]["url"], "http://127.0.0.1:9");
  EXPECT_EQ(list["command"]["failures"], 0);
  std::erase_if(world.config.rules, [](const Rule& rule) { return rule.id == "guard_evaded"; });
  ASSERT_TRUE(world.keeper->configure(world.config));
  world.run(1, kEvaded);
  EXPECT_THAT(world.ask("alert-list")["alerts"], IsEmpty());
}

}  // namespace
}  // namespace tfo::alert::alert_keeper_test
