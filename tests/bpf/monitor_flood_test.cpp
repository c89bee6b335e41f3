// SPDX-License-Identifier: BSD-2-Clause
// The monitor at its limits, in tables of the size that is shipped: a flood of SYNs that leaves
// beside honest ones, on the test's clock (minutes of it, an hour with TFO_TEST_FULL=1), and as
// many SYN-ACKs as the machine makes.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/bpf/burst.h"
#include "tests/support/alarm_world.h"
#include "tests/support/outcome.h"

namespace tfo::test::monitor_flood_test {
namespace {

using Told = std::vector<std::string>;
constexpr uint64_t kSecond = AlarmWorld::kSecond;
constexpr uint32_t kHeavy = ipv4(60, 0, 0, 0);  // ten networks that send most
constexpr uint32_t kMany = ipv4(70, 0, 0, 0);

/// A reflector of one of the ten.
uint32_t heavy_reflector(std::mt19937& random) {
  return kHeavy + (static_cast<uint32_t>(random() % 10) << 8) + random() % 256;
}

/// One processor's part of a flood: as many as it can send, over and over, each once in a round.
class Flood {
 public:
  static constexpr uint32_t kRound = 1U << 19;
  static constexpr uint32_t kHeavyEach = 24;  // every so manieth is of a heavy network

  explicit Flood(Burst burst) : burst_(std::move(burst)) {}

  void start() {
    thread_ = std::thread([this] {
      while (!stop_ || sent_ < kRound) {
        if (!burst_.run(kCall)) return;
        sent_ += kCall;
      }
    });
  }
  /// After a whole round at the earliest; what was sent.
  uint64_t stop() {
    stop_ = true;
    thread_.join();
    return sent_;
  }
  Burst& burst() { return burst_; }

 private:
  static constexpr uint32_t kCall = 4096;
  Burst burst_;
  std::thread thread_;
  std::atomic<uint64_t> sent_ = 0;
  std::atomic<bool> stop_ = false;
};

/// Bytes of this process in memory.
uint64_t resident() {
  uint64_t all = 0, pages = 0;
  std::ifstream("/proc/self/statm") >> all >> pages;
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

/// To a VIP, as fast as two processors go, in real time.
class MonitorFlood : public testing::Test {
 protected:
  void SetUp() override {
    auto world = AlarmWorld::start();
    ASSERT_OK(world);
    world_ = std::move(*world);
    for (int i = 0; i < 2; i++) {
      auto burst = Burst::open(Burst::Hook::kXdp, world_->xdp_program(), Flood::kRound);
      ASSERT_OK(burst);
      floods_.push_back(std::make_unique<Flood>(std::move(*burst)));
      for (uint32_t at = 0; at < Flood::kRound; at++) {
        const bool heavy = at % Flood::kHeavyEach == 0;
        segment_.source = heavy ? heavy_reflector(random_) : kMany + sources_++;
        floods_.back()->burst().put(at, segment_);
      }
    }
  }

  void start() {
    begin_ = world_->now();
    start_ = std::chrono::steady_clock::now();
    for (const auto& flood : floods_) flood->start();
  }

  /// The world's clock goes on with the real one, until so many seconds after the start.
  void live(double seconds) {
    const auto until = start_ + std::chrono::duration<double>(seconds);
    while (std::chrono::steady_clock::now() < until) {
      const std::chrono::nanoseconds passed = std::chrono::steady_clock::now() - start_;
      world_->run_until(begin_ + static_cast<uint64_t>(passed.count()));
      EXPECT_TRUE(world_->take_samples());
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  void stop() {
    for (const auto& flood : floods_) sent_ += flood->stop();
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start_;
    RecordProperty("packets_a_second",
                   std::to_string(std::llround(static_cast<double>(sent_) / passed.count())));
    world_->run_for(2);
  }

  void expect_top_ten(const alert::Alert& alert) {
    std::set<std::string> found, expected;
    for (const auto& row : alert.evidence["top"]["reflectors"]) {
      found.insert(row["network"].get<std::string>());
    }
    for (unsigned i = 0; i < 10; i++) expected.insert("60.0." + std::to_string(i) + ".0/24");
    EXPECT_EQ(found, expected);
  }

  std::unique_ptr<AlarmWorld> world_;
  std::vector<std::unique_ptr<Flood>> floods_;
  std::mt19937 random_{5};
  Segment segment_{.destination = kWeb, .flags = kSyn | kAck};
  uint32_t sources_ = 0;  // beside those of the ten networks
  uint64_t sent_ = 0;
  uint64_t begin_ = 0;
  std::chrono::steady_clock::time_point start_;
};

/// Memory stays as it was, the volume exact, the sources within the sketch's error and the top ten
/// right, also where nobody has time to take samples; how many of them were lost is said.
TEST_F(MonitorFlood, AMillionReflectors) {
  ASSERT_GE(sources_, 1'000'000U);
  world_->run_for(10);  // to the beginning of an epoch
  const uint64_t maps = world_->map_memory();
  start();
  live(2);
  const uint64_t memory = resident();
  live(7);
  world_->be_busy(true);
  live(8);
  world_->be_busy(false);
  stop();

  EXPECT_EQ(world_->map_memory(), maps);
  EXPECT_LT(resident(), memory + (2U << 20));
  EXPECT_EQ(world_->told(), Told{"raised critical vip:web"});
  const auto* counters = world_->monitor().counters("web");
  ASSERT_NE(counters, nullptr);
  EXPECT_EQ(unsolicited(*counters).packets, sent_);
  EXPECT_EQ(unsolicited(*counters).bytes, sent_ * segment_.ip_length());
  EXPECT_GT(counters->samples_lost, 0U);
  EXPECT_LT(counters->samples + counters->samples_lost, sent_ / 4) << "drawn, not all";
  ASSERT_FALSE(world_->active().empty());
  const alert::Alert alert = world_->active().front();
  EXPECT_LE(static_cast<uint64_t>(alert.raised_at), begin_ / kSecond + 10);
  ASSERT_TRUE(alert.measured);
  EXPECT_NEAR(static_cast<double>(alert.measured->packets), static_cast<double>(sent_),
              0.05 * static_cast<double>(sent_));
  EXPECT_NEAR(static_cast<double>(alert.measured->sources), sources_, 0.05 * sources_);
  expect_top_ten(alert);
}

}  // namespace
}  // namespace tfo::test::monitor_flood_test
