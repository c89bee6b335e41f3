// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <vector>

#include "loader/monitor/density.h"

namespace tfo {
namespace {

using std::chrono::seconds;

TEST(MonitorDensity, BackgroundIsNothing) {
  Density density;
  std::vector<uint32_t> nets(64, 5'000'000);
  EXPECT_EQ(density.see(seconds(1), nets), 0U) << "of any age";
  for (int at = 2; at < 600; at++) {
    for (uint32_t& net : nets) net += 10;
    EXPECT_EQ(density.see(seconds(at), nets), 0U);
  }
  nets[7] += 100;
  EXPECT_EQ(density.see(seconds(600), nets), 0U) << "ten seconds' worth at once";
}

TEST(MonitorDensity, WhatIsBeyondCountsWhereverItIs) {
  Density density;
  std::vector<uint32_t> nets(64);
  density.see(seconds(1), nets);
  uint64_t sum = 0;
  for (int at = 2; at < 62; at++) {
    nets[at % 2] += 1000;
    sum += density.see(seconds(at), nets);
  }
  EXPECT_NEAR(static_cast<double>(sum), 60'000 - 2 * (60 * Density::kUsual + Density::kTolerance),
              100);
}

TEST(MonitorDensity, CountersWrapAndClocksStand) {
  Density density;
  std::vector<uint32_t> nets = {UINT32_MAX - 10};
  density.see(seconds(1), nets);
  nets[0] += 1000;
  EXPECT_NEAR(static_cast<double>(density.see(seconds(2), nets)), 1000 - Density::kTolerance, 1);
  nets[0] += 50;
  EXPECT_EQ(density.see(seconds(2), nets), 50U) << "no time, no background";
  density.restart();
  nets[0] = 7;
  EXPECT_EQ(density.see(seconds(3), nets), 0U) << "other counters";
  nets.push_back(9);
  EXPECT_EQ(density.see(seconds(4), nets), 0U) << "of another prefix";
}

TEST(MonitorBusy, IsAMeanOfTenSeconds) {
  Busy busy;
  int at = 0;
  EXPECT_FALSE(busy.see(seconds(at), 1'000'000, 100)) << "a first look has no rate";
  EXPECT_FALSE(busy.see(seconds(++at), 500, 100));
  for (int i = 0; i < 20; i++) EXPECT_FALSE(busy.see(seconds(++at), 50, 100));
  int needed = 0;
  while (needed < 100 && !busy.see(seconds(++at), 150, 100)) needed++;
  EXPECT_GT(needed, 3);
  EXPECT_LT(needed, 10);
  Busy other;
  other.see(seconds(0), 0, 100);
  EXPECT_TRUE(other.see(seconds(1), 1001, 100)) << "ten times of it in one second is enough";
}

}  // namespace
}  // namespace tfo
