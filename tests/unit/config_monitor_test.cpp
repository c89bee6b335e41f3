// SPDX-License-Identifier: BSD-2-Clause
// The section monitor, and what it makes the monitor and the programs do.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "loader/alert/monitor_samples.h"
#include "loader/config.h"
#include "loader/dataplane/map_set.h"
#include "loader/monitor/watchlist.h"

namespace tfo::config_monitor_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string document(const std::string& rest, const std::string& interface = "") {
  return R"({"interfaces": [{"name": "eth0"}, {"name": "eth1")" + interface +
         R"(}], "pools": {"web": {}}, "vips": [
    {"name": "web", "addresses": ["192.0.2.10"], "ports": [80], "pool": "web"},
    {"name": "mail", "addresses": ["192.0.2.10", "192.0.2.11"], "ports": [25], "pool": "web"}])" +
         rest + "}";
}

ConfigResult parse(const std::string& monitor) {
  return parse_config(document(R"(, "monitor": )" + monitor), "f");
}

std::vector<std::string> errors_of(const std::string& monitor) {
  std::vector<std::string> texts;
  const auto result = parse(monitor);
  if (result) return texts;
  for (const ConfigError& error : result.error()) texts.push_back(error.text());
  return texts;
}

const MonitorSubject* subject_of(const Watchlist& list, std::string_view name) {
  const auto found = std::ranges::find(list.subjects, name, &MonitorSubject::name);
  return found == list.subjects.end() ? nullptr : &*found;
}

TEST(ConfigMonitor, VipsAreWatchedByDefault) {
  const auto config = parse_config(document(""), "f");
  ASSERT_TRUE(config);
  const Watchlist list = watchlist_of(*config);
  ASSERT_EQ(list.subjects.size(), 2U);
  EXPECT_EQ(list.subjects[0].name, "web");
  EXPECT_EQ(list.subjects[0].prefixes.size(), 1U);
  EXPECT_EQ(list.subjects[1].prefixes.size(), 1U) << "192.0.2.10 is web's, which was named first";
  EXPECT_EQ(list.subjects[1].kind, TFO_TARGET_VIP);
  EXPECT_EQ(list.bloom_lines, 0U);
  EXPECT_EQ(config->interfaces[0].monitor, TFO_MONITOR_ON);
  EXPECT_EQ(config->interfaces[0].tracks, 0) << "nobody's SYNs are remembered";
}

TEST(ConfigMonitor, AServersOwnVipIsSeenToOpenConnections) {
  const auto config =
      parse_config(document(R"(, "server": {"namespaces": [{"pool": "web"}]})"), "f");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->interfaces[0].tracks, TFO_MONITOR_ON);
}

TEST(ConfigMonitor, CanBeSwitchedOff) {
  const auto config = parse(R"({"vips": false})");
  ASSERT_TRUE(config);
  EXPECT_THAT(watchlist_of(*config).subjects, IsEmpty());
  EXPECT_EQ(config->interfaces[0].monitor, 0);
}

TEST(ConfigMonitor, TrackedAddressesAndPrefixes) {
  const auto config = parse(R"({
    "vips": false, "bloom_lines": 65536,
    "tracked": [{"name": "office", "prefixes": ["198.51.100.0/28", "2001:db8::7"]}],
    "prefixes": [{"name": "customers", "prefix": "203.0.113.0/24"},
                 {"name": "dark", "prefix": "2001:db8:1::/48", "kind": "silent"},
                 {"name": "transit", "prefix": "10.0.0.0/8", "kind": "asymmetric"},
                 {"name": "span", "prefix": "10.1.0.0/16", "mirror": true},
                 {"name": "tap", "prefix": "10.2.0.0/16", "mirror": true, "mirror_lossless": true,
                  "each_address": false}]})");
  ASSERT_TRUE(config) << config.error()[0].text();
  const Watchlist list = watchlist_of(*config);
  ASSERT_EQ(list.subjects.size(), 6U);
  EXPECT_EQ(list.bloom_lines, 65536U);
  EXPECT_TRUE(list.each_address);
  const auto expect = [&](const char* name, tfo_target_kind kind, bool each, unsigned length) {
    const MonitorSubject* one = subject_of(list, name);
    ASSERT_NE(one, nullptr) << name;
    EXPECT_EQ(one->kind, kind) << name;
    EXPECT_EQ(one->each_address, each) << name;
    EXPECT_EQ(one->prefixes[0].length, length) << name;
  };
  expect("office", TFO_TARGET_TRACKED, false, 96 + 28);
  expect("customers", TFO_TARGET_TRACKED, true, 96 + 24);
  expect("dark", TFO_TARGET_VIP, true, 48);
  expect("transit", TFO_TARGET_ASYMMETRIC, false, 96 + 8);
  expect("span", TFO_TARGET_ASYMMETRIC, false, 96 + 16);
  expect("tap", TFO_TARGET_TRACKED, false, 96 + 16);
  EXPECT_EQ(config->interfaces[0].monitor, TFO_MONITOR_ON | TFO_MONITOR_SOCKETS);
  EXPECT_EQ(config->interfaces[0].tracks, TFO_MONITOR_ON | TFO_MONITOR_SOCKETS);
  EXPECT_EQ(
      watchlist_of(*parse(R"({"tracked": [{"name": "a", "prefixes": ["10.0.0.1"]}]})")).bloom_lines,
      MapSizes::kBloomLines);
}

TEST(ConfigMonitor, AVipThatOriginatesIsTracked) {
  std::string text = document("");
  text.replace(text.find(R"("ports": [25])"), 13, R"("originates": true)");
  text.replace(text.find(R"("192.0.2.10", )"), 14, "");
  const auto config = parse_config(text, "f");
  ASSERT_TRUE(config) << config.error()[0].text();
  const Watchlist list = watchlist_of(*config);
  EXPECT_EQ(subject_of(list, "web")->kind, TFO_TARGET_VIP);
  EXPECT_EQ(subject_of(list, "mail")->kind, TFO_TARGET_TRACKED);
}

TEST(ConfigMonitor, SynsMayComeInInside) {
  const auto config = parse_config(
      document(R"(, "monitor": {"tracked": [{"name": "a", "prefixes": ["10.0.0.1"]}]})",
               R"(, "inside": true)"),
      "f");
  ASSERT_TRUE(config);
  constexpr uint8_t kBits = TFO_MONITOR_ON | TFO_MONITOR_SOCKETS;
  EXPECT_EQ(config->interfaces[0].monitor, kBits);
  EXPECT_EQ(config->interfaces[1].monitor, kBits | TFO_MONITOR_INSIDE);
  EXPECT_EQ(config->interfaces[0].tracks, kBits | TFO_MONITOR_INSIDE)
      << "what was forwarded was counted inside";
}

TEST(ConfigMonitor, EveryErrorHasItsPath) {
  EXPECT_THAT(
      errors_of(R"({"vips": 1, "bloom_lines": 3000, "track": [],
        "tracked": [{"name": "web", "prefixes": []},
                    {"name": "a", "prefixes": ["10.0.0.1/24", "192.0.2.11"]}],
        "prefixes": [{"name": "b", "prefix": "10.0.0.0/8"},
                     {"name": "c", "prefix": "2001:db8::/96"},
                     {"prefix": "10.1.0.0/16", "kind": "vip"},
                     {"name": "d", "prefix": "10.2.0.0/16", "mirror_lossless": true}]})"),
      ElementsAre(HasSubstr("monitor.vips: is "),
                  HasSubstr("monitor.bloom_lines: is 3000, no power of two; give 2048 or 4096"),
                  HasSubstr("monitor.tracked[0].name: name web is already used by vips[0].name"),
                  HasSubstr("monitor.tracked[0].prefixes: names no address"),
                  HasSubstr("monitor.tracked[1].prefixes[0]: '10.0.0.1/24' has bits beyond"),
                  HasSubstr("monitor.tracked[1].prefixes[1]: 192.0.2.11 is an address of VIP"),
                  HasSubstr("monitor.prefixes[0].prefix: has more than 2^18 addresses"),
                  HasSubstr("monitor.prefixes[1].prefix: is longer than /64"),
                  HasSubstr("monitor.prefixes[2]: has no \"name\""),
                  HasSubstr("monitor.prefixes[2].kind: "),
                  HasSubstr("monitor.prefixes[3]: has \"mirror_lossless\" and no mirror port"),
                  HasSubstr("monitor.track: ")));
  EXPECT_THAT(errors_of(R"({"prefixes": [{"name": "a", "prefix": "10.0.0.0/15"},
                                         {"name": "b", "prefix": "10.2.0.0/15"},
                                         {"name": "c", "prefix": "10.4.0.0/30"}]})"),
              ElementsAre(HasSubstr("monitor.prefixes: count 262400 IPv4 addresses one by one")));
  EXPECT_THAT(errors_of(R"({"tracked": [{"name": "a", "prefixes": ["10.0.0.0/24"]}],
                            "prefixes": [{"name": "b", "prefix": "10.0.0.0/24"}]})"),
              ElementsAre(HasSubstr("monitor.prefixes[0].prefix: network 10.0.0.0/24 is already "
                                    "used by monitor.tracked[0].prefixes[0]")));
}

TEST(ConfigMonitor, NoMoreNetworksThanTheProgramsHaveRoomFor) {
  std::string tracked;
  for (int i = 0; i < 1024; ++i) {
    tracked += fmt::format("{}{{\"name\": \"t{}\", \"prefixes\": [", i == 0 ? "" : ", ", i);
    for (int j = 0; j < (i == 0 ? 129 : 128); ++j) {
      tracked += fmt::format("{}\"10.{}.{}.{}\"", j == 0 ? "" : ", ", i / 256, i % 256, j);
    }
    tracked += "]}";
  }
  EXPECT_THAT(errors_of(R"({"tracked": [)" + tracked + "]}"),
              ElementsAre(HasSubstr("monitor: names 1310")));
}

TEST(ConfigMonitor, RoomForTheMonitor) {
  const MapSizes none;
  EXPECT_TRUE(none.hold(MonitorRoom{}));
  const MonitorRoom room{.subjects = 64, .bloom_lines = 1024, .each_address = true};
  EXPECT_FALSE(none.hold(room));
  const MapSizes some = none.with(room);
  EXPECT_TRUE(some.hold(room));
  EXPECT_EQ(some.subjects, 128U);
  EXPECT_FALSE(some.hold(MonitorRoom{.subjects = 1, .bloom_lines = 2048}));
  EXPECT_TRUE(some.hold(MonitorRoom{})) << "what is not used any more may stay";
}

TEST(MonitorSamples, HaveThePoolTheReadinessAndAMirrorsDemand) {
  const auto config =
      parse(R"({"prefixes": [{"name": "span", "prefix": "10.1.0.0/16", "mirror": true}]})");
  ASSERT_TRUE(config);
  std::vector<MonitorReading> readings(3);
  readings[0].rule = "vip";
  readings[0].subject = "web";
  readings[0].count = 7;
  readings[1].rule = "asymmetric";
  readings[1].subject = "span";
  readings[2].rule = "tracked";
  readings[2].subject = "office";
  readings[2].readiness = MonitorReadiness::kUnproven;
  readings[2].why = "because";
  const auto samples = alert::monitor_samples(readings, *config);
  ASSERT_EQ(samples.size(), 3U);
  EXPECT_EQ(samples[0].pool, "web");
  EXPECT_EQ(samples[0].count, 7U);
  EXPECT_EQ(samples[0].demand, 1);
  EXPECT_EQ(samples[1].demand, 10);
  EXPECT_EQ(samples[2].readiness, alert::Readiness::kUnproven);
  EXPECT_EQ(samples[2].why, "because");
  EXPECT_EQ(samples[2].pool, "");
}

}  // namespace
}  // namespace tfo::config_monitor_test
