// SPDX-License-Identifier: BSD-2-Clause
// Distinct reflectors: the program's registers and user space's estimate.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>

#include "bpf/hll.h"
#include "bpf/vip_hash.h"
#include "loader/monitor/hyperloglog.h"

namespace tfo::monitor_hll_test {
namespace {

constexpr __u64 kSeed[2] = {0x0123456789abcdefULL, 0xfedcba9876543210ULL};

/// As the program hashes a source: neighbours among IPv4 addresses.
__u64 source(uint32_t address, const __u64 seed[2] = kSeed) {
  const tfo_vip_key key{0, static_cast<__u64>(__builtin_bswap32(address)) << 32 | TFO_MAPPED, 0};
  return tfo_vip_hash(&key, seed);
}

TEST(MonitorHll, RankIsThePlaceOfTheFirstOne) {
  for (__u32 rank = 1; rank <= TFO_HLL_MAX_RANK; rank++) {
    EXPECT_EQ(tfo_hll_rank(1U << (rank - 1)), rank);
    EXPECT_EQ(tfo_hll_rank(~0U << (rank - 1)), rank);
  }
  EXPECT_EQ(tfo_hll_rank(0), static_cast<__u32>(TFO_HLL_MAX_RANK));
  EXPECT_EQ(tfo_hll_rank(1U << 31), static_cast<__u32>(TFO_HLL_MAX_RANK));
}

/// The mean square error of many counts stays within 3 %, and is below 2 % over all; the seeds
/// differ, the addresses are neighbours.
TEST(MonitorHll, ErrsByNoMoreThanItSays) {
  std::mt19937_64 random(7);
  double all = 0;
  int sizes = 0;
  for (const uint32_t count : {20U, 300U, 3000U, 10'000U, 30'000U, 300'000U}) {
    constexpr int kRuns = 30;
    double squares = 0;
    for (int run = 0; run < kRuns; run++) {
      const __u64 seed[2] = {random(), random()};
      auto hll = std::make_unique<tfo_hll>();
      const auto first = static_cast<uint32_t>(random());
      for (uint32_t i = 0; i < count; i++) tfo_hll_add(hll.get(), source(first + i, seed), 8);
      std::ranges::transform(hll->reg, hll->reg, [](uint8_t r) { return r & TFO_HLL_MAX_RANK; });
      const double error = hll_estimate(std::span(hll->reg)) / count - 1;
      squares += error * error;
    }
    const double error = std::sqrt(squares / kRuns);
    EXPECT_LT(error, 0.03) << count;
    all += error;
    sizes++;
  }
  EXPECT_LT(all / sizes, 0.02);
}

TEST(MonitorHll, NothingIsNothing) {
  const auto hll = std::make_unique<tfo_hll>();
  EXPECT_EQ(hll_estimate(std::span(hll->reg)), 0);
}

TEST(MonitorHll, EpochsAreApart) {
  auto hll = std::make_unique<tfo_hll>();
  Distinct distinct;
  distinct.read(std::span(hll->reg), 16);
  for (uint32_t i = 0; i < 1000; i++) tfo_hll_add(hll.get(), source(i), 16);
  distinct.read(std::span(hll->reg), 16);
  EXPECT_NEAR(distinct.recent(), 1000, 50);
  for (uint32_t i = 0; i < 200; i++) tfo_hll_add(hll.get(), source(i), 17);
  distinct.read(std::span(hll->reg), 17);
  EXPECT_NEAR(distinct.recent(), 1000, 50) << "the epoch before still counts";
  EXPECT_NEAR(distinct.total(), 1000, 50) << "these were among them";
  for (uint32_t i = 5000; i < 5200; i++) tfo_hll_add(hll.get(), source(i), 18);
  distinct.read(std::span(hll->reg), 18);
  EXPECT_NEAR(distinct.recent(), 200, 15);
  EXPECT_NEAR(distinct.total(), 1200, 60);
  distinct.restart();
  distinct.read(std::span(hll->reg), 18);
  EXPECT_NEAR(distinct.total(), 200, 15);
}

/// Linux sends a SYN-ACK six times in 31 s: at one a second there are 12 senders an epoch.
TEST(MonitorHll, SlowSourcesAddUpOverMinutes) {
  auto hll = std::make_unique<tfo_hll>();
  Distinct distinct;
  uint32_t epoch = 20;
  distinct.read(std::span(hll->reg), epoch);
  EXPECT_EQ(distinct.lasting(), 0);
  for (; epoch < 30; epoch++) {
    for (uint32_t i = 0; i < 12; i++) tfo_hll_add(hll.get(), source(epoch * 12 + i), epoch);
    distinct.read(std::span(hll->reg), epoch);
    EXPECT_LT(distinct.recent(), 15);
  }
  EXPECT_NEAR(distinct.lasting(), 120, 8);
  for (; epoch < 35; epoch++) distinct.read(std::span(hll->reg), epoch);
  EXPECT_NEAR(distinct.lasting(), 60, 5) << "the first five are forgotten";
  distinct.read(std::span(hll->reg), epoch);
  EXPECT_EQ(distinct.lasting(), 0);
  tfo_hll_add(hll.get(), source(1), epoch);
  distinct.read(std::span(hll->reg), epoch);
  EXPECT_NEAR(distinct.lasting(), 1, 0.1);
  distinct.read(std::span(hll->reg), epoch + 10);
  EXPECT_EQ(distinct.lasting(), 0) << "nobody looked for so long";
}

/// A stamp of 3 bits comes again after 8 epochs; what it stood for is gone by then.
TEST(MonitorHll, OldSourcesDoNotComeBack) {
  auto hll = std::make_unique<tfo_hll>();
  Distinct distinct;
  for (uint32_t epoch = 8; epoch <= 24; epoch++) {
    distinct.read(std::span(hll->reg), epoch);
    const uint32_t first = epoch * 100;
    for (uint32_t i = 0; i < 100; i++) tfo_hll_add(hll.get(), source(first + i), epoch);
    distinct.read(std::span(hll->reg), epoch);
    ASSERT_LT(distinct.recent(), 115) << epoch;
  }
}

/// Nobody knows how old the registers are that a daemon finds.
TEST(MonitorHll, ADaemonThatStartsBeginsAnew) {
  auto hll = std::make_unique<tfo_hll>();
  for (uint32_t i = 0; i < 3000; i++) tfo_hll_add(hll.get(), source(i), 3);
  Distinct distinct;
  distinct.read(std::span(hll->reg), 11);
  EXPECT_EQ(distinct.recent(), 0);
  distinct.read(std::span(hll->reg), 11);
  EXPECT_EQ(distinct.recent(), 0);
  EXPECT_TRUE(std::ranges::all_of(hll->reg, [](uint8_t r) { return r == 0; }));
}

}  // namespace
}  // namespace tfo::monitor_hll_test
