// SPDX-License-Identifier: BSD-2-Clause
// The SYN-ACK monitor in `tfoctl replay`: captures after published attacks, both directions, on the
// capture's clock.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "loader/keys/keyring_file.h"
#include "tests/support/alarm_world.h"
#include "tests/support/capture_read.h"
#include "tests/support/cases.h"
#include "tests/support/schedule.h"
#include "tests/support/tfoctl_run.h"

namespace tfo::test {
namespace {

using nlohmann::json;
constexpr int64_t kBegin = 1'800'000'000;  // unix seconds

/// A capture that is written in any order.
class Script {
 public:
  /// `at`: seconds since its beginning; `flags`: epb_flags.
  void add(double at, const Segment& segment, uint32_t interface = 0,
           std::optional<uint32_t> flags = std::nullopt) {
    rows_.push_back({static_cast<uint64_t>(at * 1e9), interface, flags, segment});
  }

  /// People of the office and of the network around it, `rate` a second, both directions.
  void honest(double from, double until, double rate) {
    for (uint32_t i = 0; from + i / rate < until; i++) {
      const Segment syn = next_syn();
      add(from + i / rate, syn);
      add(from + i / rate + 0.03, answer_to(syn));
    }
  }

  Segment next_syn() {
    number_++;
    return {.source = number_ % 4 == 0 ? kNet + 200 : kOffice + 50,
            .destination = ipv4(20, 0, 0, 0) + number_ % 1000,
            .source_port = static_cast<uint16_t>(1024 + number_ % 60000),
            .destination_port = 443,
            .sequence = number_ * 7919};
  }

  /// pcapng with interfaces of these names.
  Bytes file(const std::vector<std::string>& interfaces = {"eth0"}) {
    std::ranges::stable_sort(rows_, {}, &Row::at);
    PcapngBuilder builder;
    builder.section(std::endian::little);
    for (const std::string& name : interfaces) {
      builder.interface({.name = name, .resolution = 9});
    }
    for (const Row& row : rows_) {
      const View bytes = row.segment.frame();
      builder.packet({.interface = row.interface,
                      .stamp = static_cast<uint64_t>(kBegin) * 1'000'000'000 + row.at,
                      .bytes = Bytes(bytes.begin(), bytes.end()),
                      .flags = row.flags});
    }
    return builder.build().file;
  }
  size_t size() const { return rows_.size(); }

 private:
  struct Row {
    uint64_t at;
    uint32_t interface;
    std::optional<uint32_t> flags;
    Segment segment;
  };
  std::vector<Row> rows_;
  uint32_t number_ = 0;
};

class ReplayAlerts : public testing::Test {
 protected:
  void SetUp() override {
    RotationState state;
    state.ring.revision = 1;
    Generation generation;
    generation.id = 1;
    generation.key = Key::parse(kCurrentKey).value();
    generation.place = TFO_PLACE_CURRENT;
    generation.created_at = 1;
    state.ring.generations.push_back(generation);
    KeyringFile keys(directory_.file("web.keys"));
    ASSERT_TRUE(keys.lock());
    ASSERT_TRUE(keys.save(state));
    configure(one_configuration(directory_.file("web.keys")));
  }

  void configure(const std::string& text) {
    config_ = directory_.write("tfod.json", Bytes(text.begin(), text.end()));
  }

  json replay(Script& script, const std::vector<std::string>& interfaces = {"eth0"}) {
    const std::string path = directory_.write("it.pcapng", script.file(interfaces));
    const Ran ran = run_tfoctl({"-j", "replay", path, "--config", config_});
    EXPECT_EQ(ran.code, 0) << ran.err;
    json document = json::parse(ran.out, nullptr, false);
    EXPECT_EQ(document["frames"], script.size());
    uint64_t reasons = 0;
    for (const auto& [name, count] : document["reasons"].items()) reasons += count.get<uint64_t>();
    EXPECT_EQ(reasons, script.size());
    return document;
  }

  CaptureDirectory directory_;
  std::string config_;
};

/// What waits for this rule about this subject, or "".
std::string waiting(const json& document, const std::string& rule, const std::string& subject) {
  for (const json& one : document["monitor"]["waiting"]) {
    if (one["rule"] == rule && one["subject"] == subject) return one["readiness"];
  }
  return {};
}

/// Servers that run Linux send each SYN-ACK six times, 1, 2, 4, 8 and 16 s after another
/// (tcp_synack_retries of 5), to a victim that keeps silent.
TEST_F(ReplayAlerts, LinuxServersRepeatThemselves) {
  constexpr double kLater[] = {0, 1, 3, 7, 15, 31};
  Script script;
  script.honest(0, 100, 5);
  for (uint32_t i = 0; i < 20'000; i++) {
    Segment segment{.source = ipv4(60, 0, 0, 0) + (i % 5'000 << 8),
                    .destination = kWeb,
                    .destination_port = static_cast<uint16_t>(i),
                    .flags = kSyn | kAck};
    for (const double later : kLater) script.add(20 + i / 2'000.0 + later, segment);
  }
  const json document = replay(script);
  ASSERT_EQ(document["alerts"].size(), 1U) << document["alerts"];
  const json& alert = document["alerts"][0];
  EXPECT_EQ(alert["id"], "vip:web");
  EXPECT_EQ(alert["pool"], "web");
  EXPECT_EQ(alert["severities"][0]["severity"], "critical");
  EXPECT_LE(alert["raised_at"], kBegin + 20 + 10);
  EXPECT_NEAR(alert["packets"].get<double>(), 120'000, 6'000);
  EXPECT_NEAR(alert["sources"].get<double>(), 5'000, 250);
  EXPECT_EQ(alert["cleared"], nullptr) << "the capture ends too soon";
  EXPECT_GT(alert["evidence"]["volume"]["repeats_at_least"], 70'000);
  EXPECT_EQ(document["monitor"]["outgoing"], 500);
}

/// Reflectors of many kinds at once: servers with and without Fast Open, middleboxes that send a
/// page behind their SYN-ACK (and some that send nothing else), closed ports. Then it is over.
TEST_F(ReplayAlerts, MixedReflectorsToATrackedAddress) {
  Script script;
  script.honest(0, 500, 10);
  constexpr double kFrom = 200, kRate = 12'000;
  uint64_t counted = 0;
  for (uint32_t i = 0; i < 96'000; i++) {
    Segment segment{.source = ipv4(61, 0, 0, 0) + i * 77,
                    .destination = kOffice + 7,
                    .destination_port = static_cast<uint16_t>(i),
                    .flags = kSyn | kAck};
    const double at = kFrom + i / kRate;
    counted++;
    if (i % 4 == 1) segment.fast_open = true;
    if (i % 4 == 2) segment = refusal_of(answer_to(segment));
    script.add(at, segment);
    if (i % 4 != 3) continue;
    segment.flags = kAck | kPsh;
    segment.payload = 1'200;
    script.add(at + 0.001, segment);
  }
  const json document = replay(script);
  ASSERT_EQ(document["alerts"].size(), 1U) << document["alerts"];
  const json& alert = document["alerts"][0];
  EXPECT_EQ(alert["id"], "tracked:office");
  EXPECT_EQ(alert["severities"].size(), 1U);
  EXPECT_EQ(alert["severities"][0]["severity"], "critical");
  EXPECT_LE(alert["raised_at"], kBegin + static_cast<int64_t>(kFrom) + 10);
  EXPECT_NEAR(alert["packets"].get<double>(), static_cast<double>(counted), 0.05 * counted);
  const json& volume = alert["evidence"]["volume"];
  EXPECT_NEAR(volume["fast_open"].get<double>() / volume["packets"].get<double>(), 1.0 / 3, 0.02);
  EXPECT_GT(volume["resets"], 10'000);
  EXPECT_GT(volume["followed_at_least"]["packets"], 10'000);
  ASSERT_FALSE(alert["cleared"].is_null());
  EXPECT_NEAR(alert["cleared"]["at"].get<double>(), kBegin + kFrom + 8 + 120, 15);

  const Ran text = run_tfoctl({"replay", directory_.file("it.pcapng"), "--config", config_});
  EXPECT_NE(text.out.find("critical tracked:office: SYN-ACKs that answer no SYN"),
            std::string::npos)
      << text.out;
  EXPECT_NE(text.out.find("calm again"), std::string::npos) << text.out;
}

TEST_F(ReplayAlerts, HonestTrafficOfBothDirectionsIsNone) {
  Script script;
  script.honest(0, 300, 120);
  const json document = replay(script);
  EXPECT_EQ(document["alerts"], json::array());
  EXPECT_EQ(document["monitor"]["outgoing"], script.size() / 2);
  EXPECT_EQ(waiting(document, "tracked", "office"), "");
}

/// Nobody's SYNs are in it: that is said, and is no alarm.
TEST_F(ReplayAlerts, HalfACaptureIsNotJudged) {
  Script script;
  for (uint32_t i = 0; i < 60'000; i++) script.add(i / 200.0, answer_to(script.next_syn()));
  const json document = replay(script);
  EXPECT_EQ(document["alerts"], json::array());
  EXPECT_EQ(waiting(document, "tracked", "office"), "unproven");
  Script begin;
  begin.honest(0, 100, 10);
  EXPECT_EQ(waiting(replay(begin), "tracked", "office"), "not_warm");
}

/// A router captured on both sides: what comes in outside and goes on inside is one packet, and a
/// SYN that came in inside has left.
TEST_F(ReplayAlerts, ARouterOnBothItsInterfaces) {
  std::string text = one_configuration(directory_.file("web.keys"));
  const std::string outside = R"({"name": "eth0"})";
  text.replace(text.find(outside), outside.size(),
               outside + R"(, {"name": "eth1", "inside": true})");
  configure(text);
  Script script;
  for (uint32_t i = 0; i < 3'000; i++) {
    const Segment syn = script.next_syn();
    for (const double at : {i / 12.0, i / 12.0 + 1}) {
      if (at > i / 12.0 && i % 3 != 0) continue;  // one in three is sent again
      script.add(at, syn, 1);
      script.add(at + 0.001, syn, 0);
    }
    script.add(i / 12.0 + 1.03, answer_to(syn), 0);
    script.add(i / 12.0 + 1.031, answer_to(syn), 1);
  }
  Segment attack{.destination = kWeb, .flags = kSyn | kAck};
  for (uint32_t i = 0; i < 9'000; i++) {
    attack.source = ipv4(62, 0, 0, 0) + i * 300;
    script.add(150 + i / 100.0, attack, 0);
    script.add(150 + i / 100.0 + 0.001, attack, 1);
  }
  attack.destination = kOffice + 7;
  for (uint32_t i = 0; i < 9'000; i++) {
    attack.source = ipv4(63, 0, 0, 0) + i * 300;
    script.add(150.0001 + i / 100.0, attack, 0);
    script.add(150.0002 + i / 100.0, attack, 1);
  }
  const json document = replay(script, {"eth0", "eth1"});
  ASSERT_EQ(document["alerts"].size(), 2U) << document["alerts"];
  EXPECT_EQ(document["alerts"][0]["id"], "tracked:office");
  EXPECT_EQ(document["alerts"][1]["id"], "vip:web");
  for (const json& alert : document["alerts"]) {
    EXPECT_NEAR(alert["packets"].get<double>(), 9'000, 450) << "each of them once";
  }
  const json& volume = document["alerts"][0]["evidence"]["volume"];
  EXPECT_GT(volume["answered"], 500);
  EXPECT_NEAR(volume["syns_out"].get<double>() / volume["answered"].get<double>(), 4.0 / 3, 0.03);
  EXPECT_EQ(waiting(document, "tracked", "office"), "");
}

/// Where the capture says which way a frame went, that goes before any address.
TEST_F(ReplayAlerts, TheCapturesOwnDirectionsComeFirst) {
  constexpr uint32_t kIn = 1, kOut = 2;
  Script script;
  Segment strange{.source = kOffice + 3, .destination = kWeb, .flags = kSyn | kAck};
  for (uint32_t i = 0; i < 9'000; i++) {
    strange.source_port = static_cast<uint16_t>(i);
    strange.source = kOffice + i % 60;
    script.add(i / 100.0, strange, 0, i % 2 == 0 ? kIn : kOut);
  }
  const json document = replay(script);
  EXPECT_EQ(document["monitor"]["outgoing"], 4'500);
  EXPECT_EQ(document["reasons"]["syn_ack"], 9'000);
}

TEST_F(ReplayAlerts, BareKeysHaveNoMonitor) {
  Script script;
  for (uint32_t i = 0; i < 9'000; i++) {
    script.add(i / 6'000.0, {.source = i, .destination = kWeb, .flags = kSyn | kAck});
  }
  const std::string path = directory_.write("it.pcapng", script.file());
  const Ran ran = run_tfoctl({"-j", "replay", path, "--key", kCurrentKey});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const json document = json::parse(ran.out);
  EXPECT_EQ(document["monitor"], (json{{"on", false}}));
  EXPECT_EQ(document["alerts"], json::array());
  EXPECT_EQ(document["reasons"]["syn_ack"], 9'000);
}

}  // namespace
}  // namespace tfo::test
