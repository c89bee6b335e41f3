// SPDX-License-Identifier: BSD-2-Clause
// Reflection attacks on the test's clock, through both programs, the monitor and the alert engine
// with its default rules: which alert, how soon, about whom, how much, from where.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/alarm_world.h"
#include "tests/support/outcome.h"
#include "tests/support/schedule.h"

namespace tfo::test {
namespace {

using Told = std::vector<std::string>;
constexpr uint64_t kSecond = AlarmWorld::kSecond;
constexpr uint32_t kHeavy = ipv4(60, 0, 0, 0);  // the ten heaviest networks, one beside the other
constexpr uint32_t kMany = ipv4(70, 0, 0, 0);   // 4,096 networks that share the rest
constexpr unsigned kTop = 10;

/// What is sent, and how it is told.
struct Attack {
  const char* name;
  uint32_t victim;
  uint32_t addresses = 1;  // from `victim` on
  double rate = 6'000;     // a second
  double seconds = 9;
  double honest = 30;  // connections of the office a second beside it
  Segment shape{.flags = kSyn | kAck};
  Told told;
  double within = 10;  // seconds from the first packet to the last line of `told`
  double begun = 3;    // seconds until half of what the rule asks for was there
  int settled = 145;   // seconds of honest traffic before it
};

void PrintTo(const Attack& attack, std::ostream* out) { *out << attack.name; }

class AttackOn : public testing::Test {
 protected:
  void SetUp() override {
    auto world = AlarmWorld::start();
    ASSERT_OK(world);
    world_ = std::move(*world);
  }

  /// Tracking becomes ready by what people of the office do.
  void settle(int seconds = 145) {
    for (int i = 0; i < seconds; i++) {
      honest(20);
      schedule_.play(*world_, world_->now() + kSecond);
    }
  }

  /// One second of honest connections, scheduled.
  void honest(double rate) {
    for (uint32_t i = 0; i < static_cast<uint32_t>(rate); i++, number_++) {
      Segment syn{.source = number_ % 4 == 0 ? kNet + 200 : kOffice + 50,
                  .destination = ipv4(20, 0, 0, 0) + number_ % 1000,
                  .source_port = static_cast<uint16_t>(1024 + number_ % 60000)};
      honest_manners()[0].speak(schedule_,
                                world_->now() + i * kSecond / static_cast<uint64_t>(rate), syn);
    }
  }

  /// Half of all from ten networks, each with less than the one before it.
  uint32_t reflector() {
    const uint32_t draw = random_() % 2000;
    if (draw >= 1000) return kMany + ((random_() % 4096) << 8) + random_() % 256;
    constexpr uint32_t kUpTo[kTop] = {145, 280, 405, 520, 625, 720, 805, 880, 945, 1000};
    const auto at = std::ranges::upper_bound(kUpTo, draw) - std::begin(kUpTo);
    return kHeavy + (static_cast<uint32_t>(at) << 8) + random_() % 256;
  }

  void run(const Attack& attack) {
    begin_ = world_->now();
    const auto step = static_cast<uint64_t>(static_cast<double>(kSecond) / attack.rate);
    const auto packets = static_cast<uint64_t>(attack.rate * attack.seconds);
    uint64_t next_second = begin_;
    for (uint64_t i = 0; i < packets; i++) {
      const uint64_t at = begin_ + i * step;
      for (; next_second <= at; next_second += kSecond) {
        schedule_.play(*world_, next_second);
        honest(attack.honest);
      }
      schedule_.play(*world_, at);
      Segment segment = attack.shape;
      segment.source = reflector();
      segment.destination = attack.victim + static_cast<uint32_t>(random_() % attack.addresses);
      segment.destination_port = static_cast<uint16_t>(random_());
      world_->arrive(segment);
      sent_++;
      if (segment.flags & kSyn) bytes_ += segment.ip_length();  // of resets they are not counted
    }
    schedule_.play(*world_, world_->now() / kSecond * kSecond + kSecond);  // a last tick
  }

  /// Seconds from the first packet to the last thing that was told.
  double to_last() const {
    for (size_t i = world_->changes().size(); i-- > 0;) {
      const alert::Change& change = world_->changes()[i];
      if (change.what == alert::Change::What::kEvidence) continue;
      return static_cast<double>(change.at) -
             static_cast<double>(begin_) / static_cast<double>(kSecond);
    }
    return -1;
  }

  void expect_volume(const alert::Alert& alert) const {
    ASSERT_TRUE(alert.measured);
    const auto near = [](uint64_t is, uint64_t truth) {
      return std::abs(static_cast<double>(is) - static_cast<double>(truth)) <=
             0.05 * static_cast<double>(truth);
    };
    EXPECT_TRUE(near(alert.measured->packets, sent_)) << alert.measured->packets << " of " << sent_;
    EXPECT_TRUE(near(alert.measured->bytes, bytes_)) << alert.measured->bytes << " of " << bytes_;
  }

  void expect_reflectors(const alert::Alert& alert, bool ipv6) const {
    std::set<std::string> found, expected;
    ASSERT_TRUE(alert.evidence.contains("top")) << alert.evidence;
    for (const auto& row : alert.evidence["top"]["reflectors"]) {
      found.insert(row["network"].get<std::string>());
    }
    if (ipv6) {  // a /48 holds all of them
      EXPECT_EQ(found, std::set<std::string>{"2001:db8::/48"});
      return;
    }
    for (unsigned i = 0; i < kTop; i++) expected.insert("60.0." + std::to_string(i) + ".0/24");
    EXPECT_EQ(found, expected);
    const double share = alert.evidence["top"]["reflectors"][0]["share"];
    EXPECT_NEAR(share, 0.0725, sent_ < 2'000 ? 0.03 : 0.01);
  }

  std::unique_ptr<AlarmWorld> world_;
  Schedule schedule_;
  std::mt19937 random_{11};
  uint32_t number_ = 0;
  uint64_t begin_ = 0;
  uint64_t sent_ = 0;
  uint64_t bytes_ = 0;
};

/// Each in a world of its own: a table of what is sent and what comes of it.
class EachAttack : public AttackOn, public testing::WithParamInterface<Attack> {};

TEST_P(EachAttack, IsToldInTimeWithTheTruth) {
  const Attack& attack = GetParam();
  settle(attack.settled);
  ASSERT_EQ(world_->told(), Told());
  run(attack);
  EXPECT_EQ(world_->told(), attack.told);
  ASSERT_FALSE(world_->active().empty());
  EXPECT_LE(to_last(), attack.within);
  const alert::Alert alert = world_->active().front();
  expect_volume(alert);
  expect_reflectors(alert, attack.shape.ipv6);
  const double begin = static_cast<double>(begin_) / static_cast<double>(kSecond);
  EXPECT_NEAR(static_cast<double>(alert.first_seen), begin + attack.begun / 2,
              attack.begun / 2 + 1);
  EXPECT_LE(alert.evidence.dump().size(), alert::kMaxEvidence);
  RecordProperty("seconds_to_alert", std::to_string(to_last()));
}

Segment syn_ack(bool fast_open, uint16_t payload, bool ipv6 = false) {
  return {.flags = kSyn | kAck, .ipv6 = ipv6, .fast_open = fast_open, .payload = payload};
}

const Segment kReset{.sequence = 0, .flags = kRst | kAck};

INSTANTIATE_TEST_SUITE_P(
    Monitor, EachAttack,
    testing::Values(Attack{.name = "Vip", .victim = kWeb, .told = {"raised critical vip:web"}},
                    Attack{.name = "VipAtTheThreshold",
                           .victim = kWeb,
                           .rate = 5'100,
                           .told = {"raised critical vip:web"}},
                    Attack{.name = "VipOfIpv6",
                           .victim = kWeb,
                           .shape = syn_ack(false, 0, true),
                           .told = {"raised critical vip:web"}},
                    Attack{.name = "VipWithFastOpen",
                           .victim = kWeb,
                           .shape = syn_ack(true, 0),
                           .told = {"raised critical vip:web"}},
                    Attack{.name = "VipWithData",
                           .victim = kWeb,
                           .shape = syn_ack(true, 1200),
                           .told = {"raised critical vip:web"}},
                    Attack{.name = "VipByClosedPorts",
                           .victim = kWeb,
                           .shape = kReset,
                           .told = {"raised critical vip:web"}},
                    Attack{.name = "VipModerate",
                           .victim = kWeb,
                           .rate = 120,
                           .seconds = 75,
                           .told = {"raised warning vip:web"},
                           .within = 72},
                    Attack{.name = "VipLowAndSlow",
                           .victim = kWeb,
                           .rate = 2,
                           .seconds = 400,
                           .told = {"raised warning vip_slow:web"},
                           .within = 320,
                           .begun = 155},
                    Attack{.name = "Tracked",
                           .victim = kOffice + 7,
                           .rate = 12'000,
                           .told = {"raised critical tracked:office"}},
                    Attack{.name = "TrackedWithFastOpenAndData",
                           .victim = kOffice + 7,
                           .rate = 12'000,
                           .shape = syn_ack(true, 1200),
                           .told = {"raised critical tracked:office"}},
                    Attack{.name = "TrackedBesideManyHonest",
                           .victim = kOffice + 7,
                           .rate = 300,
                           .seconds = 48,
                           .honest = 2'000,
                           .told = {"raised warning tracked:office"},
                           .within = 45},
                    Attack{.name = "Carpet",
                           .victim = kNet,
                           .addresses = 256,
                           .rate = 22'000,
                           .told = {"raised critical carpet:net"}},
                    Attack{.name = "OneAddressOfAPrefix",
                           .victim = kNet + 9,
                           .rate = 12'000,
                           .told = {"raised critical tracked:net"}},
                    Attack{.name = "OneAddressOfAPrefixSlower",
                           .victim = kNet + 9,
                           .rate = 250,
                           .seconds = 48,
                           .told = {"raised warning tracked:net"},
                           .within = 45},
                    Attack{.name = "Asymmetric",
                           .victim = kTransit,
                           .addresses = 256,
                           .rate = 700,
                           .seconds = 120,
                           .told = {"raised warning asymmetric:transit"},
                           .within = 75,
                           .begun = 12,
                           .settled = 610},  // its usual rate is known
                    Attack{.name = "CarpetThin",
                           .victim = kNet,
                           .addresses = 256,
                           .rate = 300,
                           .seconds = 48,
                           .told = {"raised warning carpet:net"},
                           .within = 45}),
    [](const auto& info) { return std::string(info.param.name); });

/// What a server sends after its SYN-ACK, whole responses: looked for once there is an alarm.
TEST_F(AttackOn, DataThatFollowsIsSeen) {
  uint64_t followed = 0;
  for (uint32_t i = 0; i < 40'000; i++) {
    Segment segment = syn_ack(true, 0);
    segment.source = kMany + i;
    segment.destination = kWeb;
    world_->run_until(AlarmWorld::kStart + i * (kSecond / 6'000));
    world_->arrive(segment);
    segment.flags = kAck | kPsh;
    segment.fast_open = false;
    segment.payload = 1400;
    world_->arrive(segment);
    if (world_->elapsed() > 1) followed++;
  }
  world_->run_for(1);
  EXPECT_EQ(world_->told(), Told{"raised critical vip:web"});
  const auto* counters = world_->monitor().counters("web");
  ASSERT_NE(counters, nullptr);
  EXPECT_GE(counters->after.packets, followed * 95 / 100);
  EXPECT_LE(counters->after.packets, followed + 1);
  EXPECT_EQ(counters->after.bytes, counters->after.packets * 1400);
}

}  // namespace
}  // namespace tfo::test
