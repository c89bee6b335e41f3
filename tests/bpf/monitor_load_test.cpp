// SPDX-License-Identifier: BSD-2-Clause
// A flood of SYNs that leaves beside honest ones, in tables of the size that is shipped, on the
// test's clock: minutes of it, an hour with TFO_TEST_FULL=1.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/bpf/burst.h"
#include "tests/support/alarm_world.h"
#include "tests/support/options.h"
#include "tests/support/outcome.h"
#include "tests/support/schedule.h"

namespace tfo::test {
namespace {

using Told = std::vector<std::string>;
constexpr uint64_t kSecond = AlarmWorld::kSecond;
constexpr uint32_t kTicks = 100;     // of the programs' clock, a second (bpf/clock.h)
constexpr uint32_t kHonest = 5'000;  // SYNs a second
constexpr uint32_t kFlood = 100'000;
constexpr uint32_t kLate = 63 * kTicks;  // the latest answer to an honest SYN
constexpr uint32_t kTogether = 25;       // ticks whose arrivals are one call: each waits for RCU
constexpr uint32_t kFlooder = kOffice + 61;

class MonitorLoad : public testing::Test {
 protected:
  void SetUp() override {
    auto world = AlarmWorld::start();
    ASSERT_OK(world);
    world_ = std::move(*world);
    constexpr uint32_t kMost = 1U << 16;
    auto leaving = Burst::open(Burst::Hook::kTcEgress, world_->egress_program(), kMost);
    ASSERT_OK(leaving);
    leaving_.emplace(std::move(*leaving));
    auto arriving = Burst::open(Burst::Hook::kXdp, world_->xdp_program(), kMost);
    ASSERT_OK(arriving);
    arriving_.emplace(std::move(*arriving));
  }

  /// A SYN of one of 40 addresses; no two have one tuple.
  Segment honest_syn() {
    const uint32_t number = honest_++;
    return {.source = number % 4 == 0 ? kNet + 200 + number % 20 : kOffice + number % 40,
            .destination = ipv4(20, 0, 0, 0) | (number * 2654435761U & 0xffffff),
            .source_port = static_cast<uint16_t>(1024 + number % 60000),
            .destination_port = 443,
            .sequence = number};
  }

  /// One of the flood's, from one of so many addresses from kFlooder on downwards.
  Segment flood_syn(uint32_t sources) {
    const uint32_t number = flood_++;
    return {.source = kFlooder - number * 40503U / 65536 % sources,
            .destination = ipv4(30, 0, 0, 0) | (number * 2654435761U & 0xffffff),
            .source_port = static_cast<uint16_t>(number),
            .destination_port = static_cast<uint16_t>(443 + (number >> 24)),
            .sequence = number};
  }

  /// So long, with this beside the honest ones a second: SYNs of the flood, from `sources`
  /// addresses; SYN-ACKs to kOffice + 7 that answer nothing.
  void go_on(uint32_t seconds, uint32_t flood = 0, uint32_t sources = 1, uint32_t attack = 0) {
    std::vector<Segment> out, in;
    for (uint32_t tick = 0; tick < seconds * kTicks; tick++) {
      world_->run_until(world_->now() + kSecond / kTicks);
      out.clear();
      for (uint32_t i = 0; i < kHonest / kTicks; i++) {
        out.push_back(honest_syn());
        late_[(tick_ + 1 + random_() % kLate) % late_.size()].push_back(answer_to(out.back()));
      }
      for (uint32_t i = 0; i < flood / kTicks; i++) out.push_back(flood_syn(sources));
      ASSERT_TRUE(leaving_->run(out));
      std::vector<Segment>& late = late_[tick_++ % late_.size()];
      answers_ += late.size();
      in.insert(in.end(), late.begin(), late.end());
      late.clear();
      for (uint32_t i = 0; i < attack / kTicks; i++) {
        in.push_back({.source = ipv4(40, 0, 0, 0) + attack_++,
                      .destination = kOffice + 7,
                      .flags = kSyn | kAck});
      }
      if (tick_ % kTogether != 0) continue;
      ASSERT_TRUE(arriving_->run(in));
      EXPECT_TRUE(world_->take_samples());
      in.clear();
    }
    ASSERT_TRUE(arriving_->run(in));
    world_->run_until(world_->now() / kSecond * kSecond + kSecond);
  }

  /// Honest answers that were taken for an attack.
  uint64_t accused() {
    uint64_t sum = 0;
    for (const char* name : {"office", "net"}) {
      sum += unsolicited(*world_->monitor().counters(name)).packets;
    }
    return sum;
  }
  uint64_t answered() {
    return world_->monitor().counters("office")->answered +
           world_->monitor().counters("net")->answered;
  }
  const alert::Alert* active(const std::string& id) {
    alerts_ = world_->active();
    const auto found = std::ranges::find(alerts_, id, &alert::Alert::id);
    return found == alerts_.end() ? nullptr : &*found;
  }

  std::unique_ptr<AlarmWorld> world_;
  std::optional<Burst> leaving_, arriving_;
  std::vector<std::vector<Segment>> late_{kLate + 1};  // answers by tick
  std::vector<alert::Alert> alerts_;
  std::mt19937 random_{5};
  uint64_t tick_ = 0;
  uint64_t answers_ = 0;
  uint32_t honest_ = 0;
  uint32_t flood_ = 0;
  uint32_t attack_ = 0;
};

TEST_F(MonitorLoad, NoHonestSynIsForgottenBesideAFlood) {
  const Told flood = {"raised critical outgoing_syn_flood:node"};
  go_on(145);
  EXPECT_EQ(world_->waits("tracked", "office"), "");
  go_on(full() ? 3600 : 80, kFlood);
  EXPECT_EQ(accused(), 0U);
  EXPECT_EQ(answered(), answers_);
  EXPECT_GT(answered(), uint64_t{kHonest} * 140);
  EXPECT_EQ(world_->told(), flood);
  EXPECT_FALSE(world_->monitor().load().saturated(TFO_BLOOM_MAIN));
  EXPECT_TRUE(world_->monitor().load().saturated(TFO_BLOOM_HEAVY));
  const alert::Alert* told = active("outgoing_syn_flood:node");
  ASSERT_NE(told, nullptr);
  ASSERT_EQ(told->evidence["sources"].size(), 1U) << told->evidence;
  EXPECT_EQ(told->evidence["sources"][0]["address"], "192.0.2.189");

  // In the middle of it somebody is attacked.
  go_on(9, kFlood, 1, 12'000);
  EXPECT_EQ(world_->told(), (Told{flood[0], "raised critical tracked:office"}));
  const alert::Alert* attacked = active("tracked:office");
  ASSERT_NE(attacked, nullptr);
  ASSERT_TRUE(attacked->measured);
  EXPECT_NEAR(static_cast<double>(attacked->measured->packets), attack_, 0.05 * attack_);
}

/// Spoofed ones: no address is beyond its share until all are, so that both filters fill.
TEST_F(MonitorLoad, AFloodOfManySourcesIsToldAndSaturates) {
  constexpr uint32_t kSources = 48;
  go_on(145);
  go_on(75, kFlood, kSources);
  EXPECT_EQ(accused(), 0U);
  EXPECT_EQ(answered(), answers_);
  EXPECT_EQ(world_->told(), Told{"raised critical outgoing_syn_flood:node"});
  EXPECT_TRUE(world_->monitor().view().saturated_main);
  EXPECT_TRUE(world_->monitor().view().saturated_heavy);

  // More come than SYNs leave: that is seen once it outweighs the SYNs of the ten seconds before.
  go_on(20, kFlood, kSources, 140'000);
  const alert::Alert* attacked = active("tracked:office");
  ASSERT_NE(attacked, nullptr) << testing::PrintToString(world_->told());
  EXPECT_EQ(attacked->severity, Severity::kCritical);
  EXPECT_EQ(attacked->evidence["tracking"]["confidence"], "low");

  // All of it ends, and the last answers come.
  const size_t told = world_->told().size();
  go_on(66);
  EXPECT_EQ(world_->told().size(), told) << testing::PrintToString(world_->told());
}

}  // namespace
}  // namespace tfo::test
