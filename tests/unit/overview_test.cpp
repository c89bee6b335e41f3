// SPDX-License-Identifier: BSD-2-Clause
// What the status page and `tfoctl top` are told: history, verdict, overview, and the page's files.
#include "loader/observe/overview.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "loader/observe/verdict.h"
#include "loader/page/page.h"

namespace tfo::overview_test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000'000;

/// Of one VIP that was seen for so many seconds, with `good` cookies in all.
View at(int64_t seconds, uint64_t good) {
  View view;
  view.now = 1'700'000'000 + seconds;
  view.interfaces = {{.name = "eth0", .ifindex = 2, .mode = "native", .detail = ""}};
  view.pools = {{"web", "file", "steady", 3000, {}, {{"1", "aaaaaaaa", "current", 1500, 0}}}};
  view.counters.taken_ns = (100 + seconds) * kSecond;
  view.counters.vips.resize(1);
  VipCounters& vip = view.counters.vips[0];
  vip.name = "web";
  vip.counters.cell[TFO_COOKIE_CURRENT][TFO_OPTION_34][1] = good;
  vip.guard.outcome[TFO_OUTCOME_ACCEPTED] = good / 2;
  vip.guard.rtt[1] = good / 2;
  // 8 ticks of 2^20 ns are 8.4 ms.
  vip.guard.rtt_ticks = 8 * (good / 2);
  view.guard = {{.vip = "web", .vip_limit = 100, .load = 7, .guarded = 2}};
  return view;
}

HistoryPoint minute_of(uint64_t good, uint64_t bad = 0) {
  HistoryPoint point;
  point.seconds = 60;
  point.change.classes[static_cast<size_t>(SynClass::kGood)] = good;
  point.change.classes[static_cast<size_t>(SynClass::kBad)] = bad;
  return point;
}

Overview overview_of(View view) {
  Overview all;
  all.view = std::move(view);
  all.node = "lb1";
  all.vips = {{"web", "web", TFO_ENFORCE, true}};
  all.alerts = json::object();
  return all;
}

TEST(History, KeepsAPointForEveryTwoSeconds) {
  History history;
  for (int64_t second = 0; second <= 10; ++second) {
    history.add(at(second, 10 * static_cast<uint64_t>(second)));
  }
  EXPECT_EQ(history.size(), 5U);
  const HistoryPoint recent = history.recent(60);
  EXPECT_DOUBLE_EQ(recent.seconds, 10);
  EXPECT_EQ(recent.change.classes[static_cast<size_t>(SynClass::kGood)], 100U);
  EXPECT_EQ(recent.change.outcomes[TFO_OUTCOME_ACCEPTED], 50U);
  EXPECT_NEAR(recent.change.handshake_ms, 50 * 8.389, 0.1);
  EXPECT_EQ(recent.load, 7U);
  EXPECT_EQ(recent.guarded, 2U);
  EXPECT_DOUBLE_EQ(history.recent(4).seconds, 4);
}

TEST(History, IsBoundedAndItsNumbersGoOn) {
  History history;
  for (int64_t step = 0; step < 1000; ++step) history.add(at(2 * step, 0));
  EXPECT_EQ(history.size(), History::kPoints);
  const json all = history.json();
  ASSERT_EQ(all["points"].size(), History::kPoints);
  EXPECT_EQ(all["fields"][0], "number");
  EXPECT_EQ(all["points"][0].size(), all["fields"].size());
  EXPECT_EQ(all["points"].back()[0], 999);
  EXPECT_EQ(all["points"].front()[0], 700);
  EXPECT_EQ(history.json(3)["points"].size(), 3U);
}

TEST(History, NothingIsNegativeWhenAVipGoesAndUnreadableCountersAreLeftOut) {
  History history;
  history.add(at(0, 500));
  View failed = at(2, 0);
  failed.counters.taken_ns = 0;
  history.add(failed);
  EXPECT_EQ(history.size(), 0U);
  history.add(at(4, 100));
  EXPECT_EQ(history.recent(60).change.classes[static_cast<size_t>(SynClass::kGood)], 0U);
}

TEST(Verdict, WorksWhereGoodCookiesComeAndNobodyComplains) {
  const Verdict verdict = judge(at(0, 0), json::array(), minute_of(95, 5));
  EXPECT_EQ(verdict.health, Health::kWorks);
  EXPECT_EQ(verdict.headline, "Fast Open works");
  EXPECT_EQ(verdict.reason, "95 of the last minute's 100 cookies are good.");
  EXPECT_EQ(judge(at(0, 0), json::array(), {}).health, Health::kIdle);
}

TEST(Verdict, IsDegradedByBadCookiesButNotByAFewOfThem) {
  const Verdict verdict = judge(at(0, 0), json::array(), minute_of(50, 50));
  EXPECT_EQ(verdict.health, Health::kDegraded);
  EXPECT_EQ(verdict.reason, "Only 50 of the last minute's 100 cookies are good.");
  EXPECT_EQ(judge(at(0, 0), json::array(), minute_of(5, 5)).health, Health::kWorks);
}

TEST(Verdict, TheWorstComesFirstAndOneFactOnce) {
  View view = at(0, 0);
  view.conditions = {{"guard_active", "web", Severity::kWarning, 5, "198.51.100.0/24"},
                     {"key_drift", "web/s1", Severity::kCritical, 6, "holds other keys"},
                     {"generic_mode", "eth0", Severity::kWarning, 7, "no driver"}};
  const json alerts = {{{"rule", "guard_active"},
                        {"subject", "web"},
                        {"severity", "warning"},
                        {"summary", "Client networks are over the guard's limit"},
                        {"raised_at", 9},
                        {"rate", nullptr}}};
  const Verdict verdict = judge(view, alerts, minute_of(100));
  EXPECT_EQ(verdict.health, Health::kDegraded);
  EXPECT_EQ(verdict.reason, "A server holds other keys than were written (web/s1); and 1 more.");
  ASSERT_EQ(verdict.findings.size(), 3U) << verdict_json(verdict);
  EXPECT_EQ(verdict.findings[1].source, "alert");
  EXPECT_EQ(verdict.findings[2].weight, Finding::Weight::kNote);
}

TEST(Verdict, ANoteAloneChangesNothing) {
  View view = at(0, 0);
  view.conditions = {{"generic_mode", "eth0", Severity::kWarning, 7, "no driver"}};
  EXPECT_EQ(judge(view, json::array(), minute_of(100)).health, Health::kWorks);
}

TEST(Verdict, IsOffWithoutProgramKeyOrServer) {
  View view = at(0, 0);
  view.interfaces[0].mode = "gone";
  EXPECT_THAT(judge(view, json::array(), minute_of(100)).reason, HasSubstr("on no interface"));
  view = at(0, 0);
  view.conditions = {{"no_key", "web", Severity::kCritical, 1, ""}};
  EXPECT_EQ(judge(view, json::array(), minute_of(100)).headline, "Fast Open is off");
  view = at(0, 0);
  view.namespaces.resize(2);
  view.namespaces[0].server_bit = view.namespaces[1].server_bit = "expired";
  EXPECT_EQ(judge(view, json::array(), {}).health, Health::kOff);
  view.namespaces[1].server_bit = "on";
  EXPECT_EQ(judge(view, json::array(), {}).health, Health::kIdle);
}

TEST(Overview, SavedTimeIsRoundTripsTimesTheMeasuredHandshake) {
  const json all = overview_json(overview_of(at(0, 1000)));
  EXPECT_EQ(all["saved"]["round_trips"], 500);
  EXPECT_NEAR(all["saved"]["handshake_ms"].get<double>(), 8.389, 0.001);
  EXPECT_NEAR(all["saved"]["saved_ms"].get<double>(), 500 * 8.389, 0.5);
  EXPECT_EQ(all["vips"][0]["mode"], "enforce");
  EXPECT_EQ(all["vips"][0]["limit"], 100);
  EXPECT_EQ(all["totals"]["classes"]["good"], 1000);
  const json none = overview_json(overview_of(at(0, 0)));
  EXPECT_EQ(none["saved"]["handshake_ms"], nullptr);
  EXPECT_EQ(none["saved"]["saved_ms"], nullptr);
}

TEST(Overview, ItsListsAreBoundedAndKeepWhatMattersMost) {
  View view = at(0, 10);
  for (uint64_t i = 0; i < 1000; ++i) {
    VipCounters vip;
    vip.name = "vip" + std::to_string(i);
    vip.counters.cell[TFO_PLAIN][0][0] = i;
    view.counters.vips.push_back(vip);
    view.conditions.push_back({"generic_mode", vip.name, Severity::kWarning, 1, ""});
  }
  view.conditions.push_back({"key_drift", "web/s1", Severity::kCritical, 6, ""});
  view.monitor.emplace();
  for (uint64_t i = 0; i < 500; ++i) {
    view.monitor->subjects.push_back({.name = "s" + std::to_string(i), .unsolicited = i});
  }
  const json all = overview_json(overview_of(view));
  EXPECT_EQ(all["vips"].size(), kPageRows);
  EXPECT_EQ(all["vips"][0]["name"], "vip999");
  EXPECT_EQ(all["vips_total"], 1001);
  EXPECT_EQ(all["conditions"].size(), kPageRows);
  EXPECT_EQ(all["conditions"][0]["id"], "key_drift");
  EXPECT_EQ(all["conditions_total"], 1001);
  EXPECT_EQ(all["monitor"]["subjects"][0]["name"], "s499");
  EXPECT_EQ(overview_json(overview_of(view), 5000)["vips"].size(), 1001U);
}

TEST(SynClasses, EveryReasonOfAVipHasOne) {
  Counters counters{};
  for (unsigned reason = TFO_PLAIN; reason < TFO_REASON_COUNT; ++reason) {
    counters.cell[reason][0][0] = 1;
  }
  uint64_t sum = 0;
  for (const uint64_t count : syn_classes(counters)) sum += count;
  EXPECT_EQ(sum, static_cast<uint64_t>(TFO_REASON_COUNT - TFO_PLAIN));
}

TEST(PageFiles, AreWhatTheyWereBeforeTheyWerePacked) {
  std::set<std::string_view> paths;
  for (const PageFile& file : page_files()) {
    EXPECT_TRUE(paths.insert(file.path).second) << file.path;
    EXPECT_GT(unpacked(file).size(), file.gzip.size()) << file.path;
    EXPECT_NE(std::string_view(file.type), "") << file.path;
  }
  for (const char* path : {"/", "/page/main.js", "/page/base.css", "/page/chart.min.js"}) {
    EXPECT_TRUE(paths.contains(path)) << path;
  }
  EXPECT_THAT(unpacked(page_files()[0]).size(), ::testing::Gt(0U));
}

}  // namespace
}  // namespace tfo::overview_test
