// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/metrics.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "loader/dataplane/fd.h"
#include "loader/observe/reason_table.h"
#include "loader/observe/report.h"

namespace tfo::metrics_test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

View example() {
  View view;
  view.version = "1.2.3";
  view.instance = "default";
  view.now = 2000;
  view.interfaces = {{"eth0", 2, "generic", "why"}};
  view.pools = {{"web",
                 "file",
                 "staged",
                 3000,
                 {},
                 {{"1", "aaaaaaaa", "current", 1500, 0}, {"2", "bbbbbbbb", "staged", 1990, 9000}}}};
  view.pools[0].repairs = {{"own netns", 2}};
  view.namespaces.resize(1);
  NamespaceView& ns = view.namespaces[0];
  ns.name = "self";
  ns.pool = "web";
  ns.server_bit = "on";
  ns.server_bit_repairs = 3;
  ns.listeners.fastopen_bits = 3;
  ns.listeners.listeners = {{{}, 80, 100, 4, FastOpenQueue{16, 2, {"cccccccc"}}},
                            {{}, 80, 50, 1, FastOpenQueue{16, 1, {}}},
                            {{}, 81, 50, 0, FastOpenQueue{0, 0, {}}},
                            {{}, 82, 60, 0, std::nullopt}};
  ns.mib.emplace();
  (*view.namespaces[0].mib)[0] = 17;
  view.conditions = {{"generic_mode", "eth0", Severity::kWarning, 1, "why"}};
  view.counters.vips = {{"web", {}}};
  view.counters.vips[0].counters.cell[TFO_COOKIE_CURRENT][TFO_OPTION_34][1] = 41;
  view.counters.vips[0].counters.action[TFO_PASS] = 38;
  view.counters.vips[0].counters.action[TFO_RENEW] = 3;
  view.counters.vips[0].counters.would[TFO_RENEW] = 4;
  view.counters.node.cell[TFO_NOT_VIP][0][0] = 5;
  tfo_guard_counters& guard = view.counters.vips[0].guard;
  guard.outcome[TFO_OUTCOME_ACCEPTED] = 6;
  guard.rtt[0] = 4;
  guard.rtt[2] = 2;
  guard.rtt_ticks = 100;
  guard.answer[TFO_GUARD_OVER] = 9;
  guard.spared = 7;
  view.guard = {{.vip = "web", .load = 12, .guarded = 3}};
  view.alerts = {.counts = {{"vip", Severity::kWarning, 0}, {"vip", Severity::kCritical, 2}},
                 .crowded_out = {0, 5},
                 .peers = {{.url = "http://am:9093", .posts = 8, .failures = 1}},
                 .posted = {"guard"}};
  return view;
}

TEST(Metrics, SayWhatTheViewHolds) {
  const std::string text = metrics_text(example());
  for (const char* line : {
           "tfo_packets_total{vip=\"web\",reason=\"cookie_current\",option=\"34\",data=\"1\"} 41\n",
           "tfo_packets_total{vip=\"web\",reason=\"cookie_current\",option=\"34\",data=\"0\"} 0\n",
           "tfo_packets_total{vip=\"\",reason=\"not_vip\",option=\"none\",data=\"0\"} 5\n",
           "tfo_actions_total{vip=\"web\",action=\"pass\"} 38\n",
           "tfo_actions_total{vip=\"web\",action=\"renew\"} 3\n",
           "tfo_actions_total{vip=\"\",action=\"renew\"} 0\n",
           "tfo_would_actions_total{vip=\"web\",action=\"renew\"} 4\n",
           "tfo_would_actions_total{vip=\"web\",action=\"demote\"} 0\n",
           "tfo_handshakes_total{vip=\"web\",outcome=\"accepted\"} 6\n",
           "tfo_handshakes_total{vip=\"web\",outcome=\"timeout\"} 0\n",
           "tfo_syn_to_ack_seconds_count{vip=\"web\"} 6\n",
           "tfo_syn_to_ack_seconds_bucket{vip=\"web\",le=\"+Inf\"} 6\n",
           "tfo_syn_to_ack_seconds_bucket{vip=\"web\",le=\"0.016777216\"} 4\n",
           "tfo_syn_to_ack_seconds_bucket{vip=\"web\",le=\"0.067108864\"} 6\n",
           "tfo_guard_syns_total{vip=\"web\",answer=\"over\"} 9\n",
           "tfo_guard_spared_total{vip=\"web\"} 7\n",
           "tfo_guarded_networks{vip=\"web\"} 3\n",
           "tfo_guard_load{vip=\"web\"} 12\n",
           "tfo_condition_active{condition=\"generic_mode\",severity=\"warning\"} 1\n",
           "tfo_condition_active{condition=\"key_drift\",severity=\"critical\"} 0\n",
           "tfo_alert_active{rule=\"vip\",severity=\"warning\"} 0\n",
           "tfo_alert_active{rule=\"vip\",severity=\"critical\"} 2\n",
           "tfo_alerts_crowded_out{severity=\"critical\"} 5\n",
           "tfo_alertmanager_posts_total{peer=\"http://am:9093\",result=\"taken\"} 8\n",
           "tfo_alertmanager_posts_total{peer=\"http://am:9093\",result=\"failed\"} 1\n",
           "tfo_alertmanager_kind{kind=\"guard\"} 1\n",
           "tfo_alertmanager_kind{kind=\"reflection\"} 0\n",
           "tfo_key_generations{pool=\"web\",place=\"revoked\"} 0\n",
           "tfo_key_age_seconds{pool=\"web\",place=\"current\"} 500\n",
           "tfo_key_not_after_timestamp_seconds{pool=\"web\",place=\"staged\"} 9000\n",
           "tfo_rotation_state{pool=\"web\",state=\"staged\"} 1\n",
           "tfo_kernel_passive_total{netns=\"self\"} 17\n",
           "tfo_key_repairs_total{pool=\"web\",sink=\"own netns\"} 2\n",
           "tfo_server_bit_repairs_total{netns=\"self\"} 3\n",
           "tfo_server_enabled{netns=\"self\"} 1\n",
           "tfo_listener_backlog{netns=\"self\",port=\"80\"} 150\n",
           "tfo_listener_accept_queue{netns=\"self\",port=\"80\"} 5\n",
           "tfo_listener_fastopen_limit{netns=\"self\",port=\"80\"} 32\n",
           "tfo_listener_fastopen_pending{netns=\"self\",port=\"80\"} 3\n",
           "tfo_listener_backlog{netns=\"self\",port=\"82\"} 60\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Metrics, ShowNoFingerprintAndNoUnknownKernelCounter) {
  const std::string text = metrics_text(example());
  EXPECT_THAT(text, Not(HasSubstr("aaaaaaaa")));
  EXPECT_THAT(text, Not(HasSubstr("cccccccc")));
  EXPECT_THAT(text, Not(HasSubstr("port=\"81\""))) << "no Fast Open there";
  EXPECT_THAT(text, Not(HasSubstr("tfo_listener_fastopen_limit{netns=\"self\",port=\"82\"}")));
  EXPECT_THAT(text, Not(HasSubstr("tfo_kernel_active_total")));
}

TEST(Metrics, EverySeriesIsThereOnceAndEveryFamilyHasHelpAndType) {
  std::istringstream lines(metrics_text(example()));
  std::set<std::string> series;
  std::set<std::string> typed;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) typed.insert(line.substr(7, line.find(' ', 7) - 7));
    if (line.empty() || line[0] == '#') continue;
    EXPECT_TRUE(series.insert(line.substr(0, line.rfind(' '))).second) << line;
    std::string family = line.substr(0, line.find_first_of("{ "));
    for (const std::string suffix : {"_bucket", "_sum", "_count"}) {
      const bool of_histogram = family.starts_with("tfo_syn_to_ack") && family.ends_with(suffix);
      if (of_histogram) family.resize(family.size() - suffix.size());
    }
    EXPECT_TRUE(typed.contains(family)) << line;
  }
  EXPECT_GT(series.size(), vip_cells().size());
}

TEST(Metrics, ManyPortsMakeNoManySeries) {
  View view = example();
  view.namespaces[0].listeners.listeners.clear();
  for (uint16_t port = 1; port <= 1000; ++port) {
    view.namespaces[0].listeners.listeners.push_back({{}, port, 10, 0, FastOpenQueue{1, 0, {}}});
  }
  const std::string text = metrics_text(view);
  EXPECT_THAT(text, HasSubstr("tfo_listener_backlog{netns=\"self\",port=\"32\"} 10\n"));
  EXPECT_THAT(text, HasSubstr("tfo_listener_backlog{netns=\"self\",port=\"other\"} 9680\n"));
  EXPECT_THAT(text, Not(HasSubstr("port=\"33\"")));
}

TEST(Metrics, ACellThatCannotOccurIsNotHidden) {
  View view = example();
  view.counters.vips[0].counters.cell[TFO_PLAIN][TFO_OPTION_254][1] = 3;
  EXPECT_THAT(
      metrics_text(view),
      HasSubstr("tfo_packets_total{vip=\"web\",reason=\"plain\",option=\"254\",data=\"1\"} 3\n"));
}

TEST(ReasonTable, EveryReasonIsTheNodesOrAVips) {
  std::set<unsigned> all;
  for (const Cell& cell : node_cells()) all.insert(cell.reason);
  for (const Cell& cell : vip_cells()) all.insert(cell.reason);
  all.insert(TFO_OTHER);  // replay only
  EXPECT_EQ(all.size(), static_cast<size_t>(TFO_REASON_COUNT));
}

TEST(Report, StatsSumUp) {
  const nlohmann::json stats = stats_json(example().counters);
  EXPECT_EQ(stats["node"]["not_vip"], 5);
  EXPECT_EQ(stats["vips"][0]["reasons"]["cookie_current"], 41);
  EXPECT_EQ(stats["vips"][0]["reasons"]["plain"], 0);
  const nlohmann::json cell = {
      {"reason", "cookie_current"}, {"option", "34"}, {"data", 1}, {"count", 41}};
  EXPECT_EQ(stats["vips"][0]["cells"], nlohmann::json::array({cell}));
}

TEST(Report, StatusHasConditionsAndRing) {
  const nlohmann::json status = status_json(example());
  EXPECT_EQ(status["conditions"][0]["id"], "generic_mode");
  EXPECT_EQ(status["pools"][0]["ring"][1]["fingerprint"], "bbbbbbbb");
  EXPECT_EQ(status["interfaces"][0]["mode"], "generic");
  EXPECT_EQ(status["guard"][0]["spared"], 7);
}

TEST(Metrics, OfTheMonitorAreByKindHoweverManyAreWatched) {
  View view = example();
  EXPECT_THAT(metrics_text(view), Not(HasSubstr("tfo_unsolicited")));
  view.monitor.emplace();
  for (int i = 0; i < 100; ++i) {
    view.monitor->subjects.push_back({.name = "vip" + std::to_string(i), .readiness = "ready"});
  }
  view.monitor->subjects[7] = {.name = "transit",
                               .kind = TFO_TARGET_ASYMMETRIC,
                               .readiness = "ready",
                               .unsolicited = 70,
                               .syns_out = 60};
  view.monitor->totals.kinds[0].unsolicited[1][0] = {.packets = 5, .bytes = 300};
  view.monitor->totals.kinds[1].resets = 4;
  view.monitor->totals.kinds[0].reflectors = 12;
  view.monitor->totals.samples_lost = 2;
  const std::string text = metrics_text(view);
  for (const char* line :
       {"tfo_unsolicited_synack_packets_total{destination=\"vip\",tfo=\"1\",payload=\"0\"} 5\n",
        "tfo_unsolicited_synack_bytes_total{destination=\"vip\",tfo=\"1\",payload=\"0\"} 300\n",
        "tfo_unsolicited_synack_reflectors{destination=\"vip\"} 12\n",
        "tfo_unsolicited_resets_total{destination=\"tracked\"} 4\n",
        "tfo_prefix_synacks_total{prefix=\"transit\"} 70\n",
        "tfo_prefix_syns_out_total{prefix=\"transit\"} 60\n", "tfo_monitor_warm 1\n",
        "tfo_events_lost_total 2\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(text, Not(HasSubstr("vip42"))) << "who was hit is told by alerts";
  view.monitor->subjects[3].readiness = "not_warm";
  EXPECT_THAT(metrics_text(view), HasSubstr("tfo_monitor_warm 0\n"));
  EXPECT_EQ(status_json(view)["monitor"]["subjects"][7]["kind"], "asymmetric");
  EXPECT_EQ(status_json(example())["monitor"], nullptr);
}

TEST(KernelMib, IsReadByNameWhateverTheColumn) {
  const auto mib = parse_netstat(
      "TcpExt: Foo TCPFastOpenCookieReqd TCPFastOpenPassive\nTcpExt: 1 22 333\n"
      "IpExt: TCPFastOpenPassive\nIpExt: 9\n");
  ASSERT_TRUE(mib);
  EXPECT_EQ((*mib)[0], 333u);
  EXPECT_EQ((*mib)[3], 22u);
  EXPECT_EQ((*mib)[1], std::nullopt);
}

TEST(KernelMib, OtherTextIsAnError) {
  EXPECT_FALSE(parse_netstat(""));
  EXPECT_FALSE(parse_netstat("TcpExt: A\n"));
  EXPECT_FALSE(parse_netstat("IpExt: A\nIpExt: 1\n"));
}

TEST(KernelMib, ThisKernelHasTheFastOpenCounters) {
  const Fd fd(::open("/proc/self/net/netstat", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(fd);
  const auto mib = read_netstat(fd.get());
  ASSERT_TRUE(mib) << mib.error().message;
  for (size_t i = 0; i < kKernelCounters; ++i) {
    EXPECT_TRUE((*mib)[i]) << kKernelCounterTable[i].name;
  }
}

}  // namespace
}  // namespace tfo::metrics_test
