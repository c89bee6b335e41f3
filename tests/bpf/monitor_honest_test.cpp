// SPDX-License-Identifier: BSD-2-Clause
// Honest traffic raises nothing: an hour of it on the test's clock, through both programs, the
// monitor and the alert engine with its default rules.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/alarm_world.h"
#include "tests/support/outcome.h"
#include "tests/support/schedule.h"

namespace tfo::test::monitor_honest_test {
namespace {

constexpr uint64_t kSecond = AlarmWorld::kSecond;
/// Of one manner, a second: what it takes for an alarm (100/s for 30 s), and more.
constexpr uint64_t kRate = 200;
constexpr uint64_t kBusy = 60;   // seconds at that rate
constexpr uint64_t kCalm = 225;  // and then of little: a twelfth of an hour

/// People behind tracked addresses, and what else comes along.
class Traffic {
 public:
  explicit Traffic(uint32_t lines = MapSizes::kBloomLines) {
    auto world = AlarmWorld::start(lines);
    if (!world) throw std::runtime_error(world.error().message);  // the test fails with it
    world_ = std::move(*world);
  }

  AlarmWorld& world() { return *world_; }
  Schedule& schedule() { return schedule_; }

  /// A SYN of one of 40 people to anybody; each has a tuple of its own.
  Segment syn() {
    Segment syn;
    syn.source = number_ % 4 == 0 ? kNet + 200 + number_ % 20 : kOffice + number_ % 40;
    syn.destination = ipv4(20, 0, 0, 0) | (number_ * 2654435761U & 0xffffff);
    syn.source_port = static_cast<uint16_t>(1024 + number_ % 60000);
    syn.destination_port = 443;
    syn.sequence = static_cast<uint32_t>(random_());
    number_++;
    return syn;
  }

  /// Scans and attacks elsewhere with our addresses in them (RFC 4948 section 2.2.1): to each kind
  /// of address, well below what is worth an alarm.
  void backscatter(uint64_t second) {
    Segment stray;
    stray.flags = kSyn | kAck;
    for (int i = 0; i < 5; i++) {
      stray.source = ipv4(100, 0, 0, 0) | (random_() & 0xffffff);
      stray.destination = kNet + random_() % 256;
      stray.source_port = 80;
      stray.destination_port = static_cast<uint16_t>(random_());
      schedule_.arrive(second + random_() % kSecond, stray);
    }
    if (second / kSecond % 4 == 0) stray.destination = kWeb;
    schedule_.arrive(second + random_() % kSecond, refusal_of(stray));
    schedule_.arrive(second + random_() % kSecond, stray);
  }

  /// `rate` connections a second of this manner for so long.
  void go_on(const Manner& manner, uint64_t seconds, uint64_t rate = kRate) {
    for (uint64_t i = 0; i < seconds; i++) {
      const uint64_t from = world_->now();
      backscatter(from);
      for (uint64_t n = 0; n < rate; n++) manner.speak(schedule_, from + n * kSecond / rate, syn());
      for (uint32_t n = 0; n < 5; n++) {  // through a network whose SYNs may leave elsewhere
        Segment through = syn();
        through.source = kTransit + n;
        honest_manners()[0].speak(schedule_, from + n * kSecond / 5, through);
      }
      schedule_.play(*world_, from + kSecond);
    }
  }

  /// In the next second so many SYNs of one address, and their answers.
  void also_from(uint32_t address, uint64_t rate, bool answered) {
    const uint64_t from = world_->now();
    for (uint64_t i = 0; i < rate; i++) {
      Segment one = syn();
      one.source = address;
      const uint64_t at = from + i * (kSecond / rate);
      schedule_.leave(at, one);
      if (answered) schedule_.arrive(at + kSecond / 25, answer_to(one));
    }
  }

  /// What makes tracking ready: it is warm and proven.
  void settle() {
    go_on(honest_manners()[0], 140, 30);
    for (const char* subject : {"office", "net"}) {
      EXPECT_EQ(world_->waits(std::string(subject) == "net" ? "carpet" : "tracked", subject), "");
    }
  }

 private:
  std::unique_ptr<AlarmWorld> world_;
  Schedule schedule_;
  uint32_t number_ = 0;
  std::mt19937 random_{7};
};

using Told = std::vector<std::string>;

TEST(MonitorHonest, AnHourOfEverythingRaisesNothing) {
  Traffic traffic;
  traffic.settle();
  size_t told = 0;
  for (const Manner& manner : honest_manners()) {
    traffic.go_on(manner, kBusy);
    traffic.go_on(manner, kCalm, 4);
    const Told& all = traffic.world().told();
    EXPECT_EQ(Told(all.begin() + static_cast<std::ptrdiff_t>(told), all.end()), Told())
        << manner.name;
    told = all.size();
  }
  // It was awake all the time.
  EXPECT_EQ(traffic.world().waits("tracked", "office"), "");
  EXPECT_EQ(traffic.world().waits("tracked", "shop"), "");
  EXPECT_GE(traffic.world().elapsed(), 3500);
  Segment attack{.destination = kOffice + 5, .flags = kSyn | kAck};
  const uint64_t begin = traffic.world().now();
  for (uint32_t i = 0; i < 100'000; i++) {
    attack.source = ipv4(30, 0, 0, 0) + i;
    traffic.world().run_until(begin + i * (kSecond / 12'000));
    traffic.world().arrive(attack);
  }
  EXPECT_EQ(traffic.world().told(), (Told{"raised critical tracked:office"}));
}

/// SYNs left before anybody looked, and are answered now.
TEST(MonitorHonest, StartedInTheMiddle) {
  Traffic traffic;
  AlarmWorld& world = traffic.world();
  for (uint64_t i = 0; i < 300 * 63; i++) {
    const uint64_t at = world.now() + i * kSecond / 300;
    traffic.schedule().arrive(at, answer_to(traffic.syn()));
    Segment check = traffic.syn();
    check.source = kShop;
    traffic.schedule().arrive(at, answer_to(check));
  }
  traffic.go_on(honest_manners()[0], 70);
  EXPECT_NE(world.waits("tracked", "office"), "");
  EXPECT_EQ(world.monitor().counters("office")->unsolicited[0][0].packets > 100 * 63, true);
  traffic.go_on(honest_manners()[0], 130);
  EXPECT_EQ(world.waits("tracked", "office"), "");
  EXPECT_EQ(world.told(), Told());
}

/// A gateway with one address for a city, beside an office whose answers come late. Filters and
/// gateway are a sixteenth of what they are: it sends 20,000 SYNs a second.
TEST(MonitorHonest, ABusyAddressBesideAQuietOne) {
  Traffic traffic(MapSizes::kBloomLines / 16);
  AlarmWorld& world = traffic.world();
  traffic.settle();
  for (uint32_t second = 0; second < 40; second++) {
    traffic.also_from(kOffice + 60, 20'000 / 16, true);
    traffic.go_on(honest_manners()[5], 1);
  }
  traffic.go_on(honest_manners()[0], 64, 10);
  EXPECT_EQ(world.told(), Told());
  EXPECT_EQ(world.waits("tracked", "office"), "");
  EXPECT_FALSE(world.monitor().load().saturated(TFO_BLOOM_MAIN));
  EXPECT_GT(world.monitor().load().false_match(), 0.0003) << "half a SYN a line";
}

/// One host floods somebody with SYNs, 50,000 a second beside filters of the usual size: that is
/// told, and nothing of it is taken for an attack on us.
TEST(MonitorHonest, AFloodThatLeavesIsAllThatIsTold) {
  Traffic traffic(MapSizes::kBloomLines / 4);
  AlarmWorld& world = traffic.world();
  traffic.go_on(honest_manners()[0], 620, 20);  // its own usual rate is known
  EXPECT_EQ(world.told(), Told());
  for (uint32_t second = 0; second < 16; second++) {
    traffic.also_from(kOffice + 61, 50'000 / 4, false);
    traffic.go_on(honest_manners()[5], 1);
  }
  traffic.go_on(honest_manners()[5], 20);
  traffic.go_on(honest_manners()[0], 64, 10);
  EXPECT_EQ(world.told(), (Told{"raised warning outgoing_syn_flood:node"}));
}

}  // namespace
}  // namespace tfo::test::monitor_honest_test
