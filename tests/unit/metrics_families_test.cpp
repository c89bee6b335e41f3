// SPDX-License-Identifier: BSD-2-Clause
// The families of the node, its VIPs and pools, and of a farm's rotations.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <functional>
#include <limits>
#include <map>
#include <sstream>

#include "loader/dataplane/fd.h"
#include "loader/observe/metric_text.h"
#include "loader/observe/metrics.h"
#include "loader/observe/readiness.h"

namespace tfo {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

View example() {
  View view;
  view.version = "1.2.3";
  view.revision = "0123abcd";
  view.kernel = "6.1.0";
  view.instance = "default";
  view.now = 2000;
  view.started_at = 1000;
  view.process = {.cpu_seconds = 1.5,
                  .resident_bytes = 4096,
                  .virtual_bytes = 8192,
                  .threads = 9,
                  .open_fds = 40,
                  .max_fds = 1024};
  view.interfaces = {{"eth0", 2, "native", "", true, false, "00aa", "00bb"},
                     {"eth1", 0, "gone", "it has gone"}};
  view.configured_pools = {{"web", "etcd"}, {"mail", "derived"}};
  view.configured_vips = {{"www", "web", "canary", true, "demote"},
                          {"mx", "mail", "observe", false, "pass"}};
  view.pools = {{"web", "etcd", "steady", {}, {}, {{"1", "f", "current", 1, 0}}}};
  view.pools[0].farm.emplace();
  view.pools[0].farm->rotations = {.completed = 4, .aborted = 2, .revoked = 1};
  view.pools[0].farm->nodes = {.acknowledged = 5, .pending = 3, .drifted = 2, .unreachable = 1};
  view.pools[0].farm->leading = true;
  view.pools.push_back({"mail", "derived", "steady", {}, {}, {{"2", "f", "current", 1, 1999}}});
  view.guard = {{.vip = "www", .address_limit = 8, .limit = 16, .site_limit = 32, .vip_limit = 64}};
  view.maps = {{"vips", 8192, 12}, {"guard_rows", 32768, std::nullopt}};
  view.bpf_stats = true;
  view.programs = {{"tfo_xdp", 1000, 2'500'000'000}};
  return view;
}

/// Values of a family's series, by their labels.
std::map<std::string, std::string> series(const View& view, const std::string& family) {
  std::map<std::string, std::string> found;
  std::istringstream lines(metrics_text(view));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(family + "{") || line.starts_with(family + " ")) {
      const size_t blank = line.rfind(' ');
      found[line.substr(family.size(), blank - family.size())] = line.substr(blank + 1);
    }
  }
  return found;
}

using Series = std::map<std::string, std::string>;

TEST(MetricFamilies, OfPoolsAndVipsTakeTheConfigurationsWords) {
  const Series pools = {{"{pool=\"web\",source=\"etcd\"}", "1"},
                        {"{pool=\"mail\",source=\"derived\"}", "1"}};
  EXPECT_EQ(series(example(), "tfo_pool_info"), pools);
  const Series vips = {
      {"{vip=\"www\",pool=\"web\",mode=\"canary\",renew=\"true\",on_invalid=\"demote\"}", "1"},
      {"{vip=\"mx\",pool=\"mail\",mode=\"observe\",renew=\"false\",on_invalid=\"pass\"}", "1"}};
  EXPECT_EQ(series(example(), "tfo_vip_info"), vips);
}

TEST(MetricFamilies, OfRotationsAreThereForPoolsThatAFarmShares) {
  const Series ends = {{"{pool=\"web\",result=\"completed\"}", "4"},
                       {"{pool=\"web\",result=\"aborted\"}", "2"},
                       {"{pool=\"web\",result=\"revoked\"}", "1"}};
  EXPECT_EQ(series(example(), "tfo_rotations_total"), ends);
  const Series nodes = {{"{pool=\"web\",status=\"acknowledged\"}", "5"},
                        {"{pool=\"web\",status=\"pending\"}", "3"},
                        {"{pool=\"web\",status=\"drifted\"}", "2"},
                        {"{pool=\"web\",status=\"unreachable\"}", "1"}};
  EXPECT_EQ(series(example(), "tfo_rotation_nodes"), nodes);
  EXPECT_EQ(series(example(), "tfo_rotation_leader"), (Series{{"{pool=\"web\"}", "1"}}));
  View alone = example();
  alone.pools[0].farm.reset();
  EXPECT_THAT(metrics_text(alone), Not(HasSubstr("tfo_rotations_total")));
  EXPECT_THAT(metrics_text(alone), Not(HasSubstr("tfo_rotation_nodes")));
}

TEST(MetricFamilies, OfTheGuardSayEachLimit) {
  View view = example();
  const Series known = {{"{vip=\"www\",scope=\"address\"}", "8"},
                        {"{vip=\"www\",scope=\"prefix\"}", "16"},
                        {"{vip=\"www\",scope=\"site\"}", "32"},
                        {"{vip=\"www\",scope=\"vip\"}", "64"}};
  EXPECT_EQ(series(view, "tfo_guard_limit"), known);
  view.guard[0].site_limit = 0;
  EXPECT_EQ(series(view, "tfo_guard_limit").at("{vip=\"www\",scope=\"site\"}"), "+Inf");
  EXPECT_EQ(series(view, "tfo_guard_exact").at("{vip=\"www\"}"), "0");
  view.guard[0].exact = true;
  EXPECT_EQ(series(view, "tfo_guard_exact").at("{vip=\"www\"}"), "1");
}

TEST(MetricFamilies, AGuardIsInExactlyOneState) {
  const std::pair<const char*, std::function<void(GuardVipView&)>> cases[] = {
      {"on", [](GuardVipView&) {}},
      {"blind", [](GuardVipView& vip) { vip.blind = true; }},
      {"evaded", [](GuardVipView& vip) { vip.evaded = true; }},
      {"qlen_unknown", [](GuardVipView& vip) { vip = {.vip = vip.vip}; }},
      {"off", [](GuardVipView& vip) { vip = {.vip = vip.vip, .on = false}; }}};
  for (const auto& [state, change] : cases) {
    View view = example();
    change(view.guard[0]);
    Series wanted;
    for (const char* one : {"on", "blind", "evaded", "qlen_unknown", "off"}) {
      wanted["{vip=\"www\",state=\"" + std::string(one) + "\"}"] =
          std::string(one) == state ? "1" : "0";
    }
    EXPECT_EQ(series(view, "tfo_guard_state"), wanted) << state;
  }
}

TEST(MetricFamilies, OfMapsLeaveOutWhatNobodyCounts) {
  const Series capacity = {{"{map=\"vips\"}", "8192"}, {"{map=\"guard_rows\"}", "32768"}};
  EXPECT_EQ(series(example(), "tfo_map_capacity"), capacity);
  EXPECT_EQ(series(example(), "tfo_map_entries"), (Series{{"{map=\"vips\"}", "12"}}));
}

TEST(MetricFamilies, OfProgramsTellCostOnlyWhileItIsCounted) {
  View view = example();
  EXPECT_EQ(series(view, "tfo_program_runs_total"), (Series{{"{program=\"tfo_xdp\"}", "1000"}}));
  EXPECT_EQ(series(view, "tfo_program_run_seconds_total"),
            (Series{{"{program=\"tfo_xdp\"}", "2.5"}}));
  EXPECT_EQ(series(view, "tfo_bpf_stats_enabled"), (Series{{"", "1"}}));
  view.bpf_stats = false;
  view.programs.clear();
  EXPECT_EQ(series(view, "tfo_bpf_stats_enabled"), (Series{{"", "0"}}));
  EXPECT_THAT(metrics_text(view), Not(HasSubstr("tfo_program_run")));
}

TEST(MetricFamilies, OfProgramsSayWhereTheyRun) {
  const Series info = {{"{ifname=\"eth0\",hook=\"xdp\",xdp_mode=\"native\",tag=\"00aa\"}", "1"},
                       {"{ifname=\"eth0\",hook=\"tc_egress\",tag=\"00bb\"}", "1"},
                       {"{ifname=\"eth1\",hook=\"xdp\",xdp_mode=\"gone\",tag=\"\"}", "1"}};
  EXPECT_EQ(series(example(), "tfo_program_info"), info);
}

TEST(MetricFamilies, OfTheProcessHaveTheUsualNames) {
  const std::string text = metrics_text(example());
  for (const char* line :
       {"tfo_build_info{version=\"1.2.3\",revision=\"0123abcd\",kernel=\"6.1.0\","
        "instance_name=\"default\"} 1\n",
        "process_cpu_seconds_total 1.5\n", "process_resident_memory_bytes 4096\n",
        "process_virtual_memory_bytes 8192\n", "process_threads 9\n", "process_open_fds 40\n",
        "process_max_fds 1024\n", "process_start_time_seconds 1000\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(MetricFamilies, ThisProcessCanBeRead) {
  const ProcessView process = read_process();
  ASSERT_TRUE(process.cpu_seconds && process.resident_bytes && process.virtual_bytes &&
              process.threads && process.open_fds && process.max_fds);
  EXPECT_GT(*process.resident_bytes, 1U << 20);
  EXPECT_GE(*process.virtual_bytes, *process.resident_bytes);
  EXPECT_GE(*process.threads, 1U);
  const Fd one(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(*read_process().open_fds, *process.open_fds + 1);
}

/// prometheus-cpp's own serializer is the measure.
TEST(MetricText, IsWhatPrometheusCppWrites) {
  using prometheus::MetricType;
  Families families;
  Family counter("tfo_a_total", "Of all kinds", MetricType::Counter);
  for (const double value : {0.0, 1.0, 41.0, 1.5, 1e-9, 999'999'999'999'999.0, 1e15, 1e16, 1e300,
                             1.0 / 3, 0.1, 1795365210.0, 123456789.123}) {
    counter.add({{"value", std::to_string(value)}}, value);
  }
  Family gauge("tfo_b", "", MetricType::Gauge);
  gauge.add({}, -3);
  gauge.add({{"odd", "a\"b\\c\nd\xc3\xa4"}, {"empty", ""}}, -0.0);
  gauge.add({{"odd", "inf"}}, std::numeric_limits<double>::infinity());
  gauge.add({{"odd", "less"}}, -std::numeric_limits<double>::infinity());
  gauge.add({{"odd", "nan"}}, std::numeric_limits<double>::quiet_NaN());
  Family histogram("tfo_c_seconds", "Times", MetricType::Histogram);
  prometheus::ClientMetric::Histogram times;
  times.sample_count = 7;
  times.sample_sum = 0.30000000000000004;
  times.bucket = {{3, 0.016777216}, {7, std::numeric_limits<double>::infinity()}};
  histogram.add_histogram({{"vip", "www"}}, times);
  histogram.add_histogram({}, times);
  for (Family* family : {&counter, &gauge, &histogram}) families.push_back(family->take());
  EXPECT_EQ(metric_text(families), prometheus::TextSerializer().Serialize(families));
}

TEST(Readiness, NamesEachInterfaceAndPoolThatLacks) {
  View view = example();
  EXPECT_EQ(what_lacks(view), "interface eth1: gone: it has gone\npool mail: no unexpired key\n");
  view.interfaces[1].mode = "generic";
  view.pools[1].keys[0].not_after = 2001;
  EXPECT_EQ(what_lacks(view), "");
  view.pools[1].keys[0].place = "staged";
  EXPECT_EQ(what_lacks(view), "pool mail: no unexpired key\n");
  view.pools.erase(view.pools.begin());
  EXPECT_THAT(what_lacks(view), HasSubstr("pool web: no unexpired key\n"));
}

}  // namespace
}  // namespace tfo
