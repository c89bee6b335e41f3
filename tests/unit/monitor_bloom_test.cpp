// SPDX-License-Identifier: BSD-2-Clause
// The filter of the SYNs that left, on the host: how long it remembers, how often it errs.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <random>
#include <span>
#include <thread>
#include <vector>

#include "bpf/bloom.h"
#include "bpf/tuple.h"
#include "loader/monitor/bloom_load.h"

namespace tfo {
namespace {

constexpr uint64_t kEpochNs = 1ULL << TFO_EPOCH_SHIFT;
constexpr uint64_t kSecond = 1'000'000'000;
constexpr __u64 kSeed[2] = {0x0123456789abcdefULL, 0xfedcba9876543210ULL};

/// The names of connections from one host to neighbours, port after port: nothing random.
__u64 name(uint32_t number) {
  tfo_flow flow{};
  flow.family = 4;
  flow.word[0] = 0x0a000001ULL | static_cast<__u64>(0xc0000200U + (number >> 8)) << 32;
  return tfo_tuple_hash(&flow, 0xbb01U << 16 | (number & 0xffff), kSeed);
}

class Filter {
 public:
  explicit Filter(uint32_t lines) : lines_(lines) {}
  bool insert(__u64 hash, uint32_t epoch) {
    const bool added = tfo_bloom_insert(line(hash), hash, epoch) != 0;
    if (added) tfo_bloom_count(cpu_.fill[TFO_BLOOM_MAIN], epoch);
    return added;
  }
  bool has(__u64 hash, uint32_t epoch) { return tfo_bloom_has(line(hash), hash, epoch) != 0; }
  BloomLoad load(uint32_t epoch) const {
    return {std::span(&cpu_, 1), epoch, static_cast<uint32_t>(lines_.size())};
  }

 private:
  tfo_bloom_line* line(__u64 hash) { return &lines_[hash & (lines_.size() - 1)]; }
  std::vector<tfo_bloom_line> lines_;
  tfo_monitor_cpu cpu_{};
};

TEST(MonitorBloom, RemembersTwoEpochsAndForgetsAfterThree) {
  for (const uint64_t at : {uint64_t{0}, kSecond, kEpochNs - 1, 7 * kEpochNs, 12 * kEpochNs - 1}) {
    Filter filter(64);
    filter.insert(name(1), tfo_epoch(at));
    for (uint64_t later = 0; later <= 137 * kSecond; later += kSecond) {
      ASSERT_TRUE(filter.has(name(1), tfo_epoch(at + later))) << at << " + " << later;
    }
    EXPECT_FALSE(filter.has(name(1), tfo_epoch(at + 3 * kEpochNs))) << at;
    EXPECT_FALSE(filter.has(name(2), tfo_epoch(at)));
  }
}

TEST(MonitorBloom, EmptyMemoryHoldsNothing) {
  Filter filter(64);
  for (const uint32_t epoch : {0U, 1U, 2U, 0xffffU, 0x10000U}) {
    EXPECT_FALSE(filter.has(name(epoch), epoch)) << epoch;
  }
}

struct Share {
  uint32_t per_line;
  double least, most;
};

/// monitor.md B1: 2.7 % at 3 SYNs a line and epoch, 11 % at 6. Nothing inserted is ever missed.
TEST(MonitorBloom, FalseMatchesComeAsOftenAsTheyShould) {
  constexpr uint32_t kLines = 1 << 14;
  for (const Share& share : {Share{3, 0.024, 0.030}, Share{6, 0.100, 0.120}}) {
    Filter filter(kLines);
    const uint32_t each = share.per_line * kLines;
    for (uint32_t i = 0; i < 3 * each; i++) filter.insert(name(i), 40 + i / each);
    for (uint32_t i = 0; i < 3 * each; i++) ASSERT_TRUE(filter.has(name(i), 42)) << i;
    constexpr uint32_t kAsked = 200'000;
    uint32_t found = 0;
    for (uint32_t i = 0; i < kAsked; i++) found += filter.has(name(0x400000 + i), 42) ? 1 : 0;
    const double measured = static_cast<double>(found) / kAsked;
    EXPECT_GT(measured, share.least);
    EXPECT_LT(measured, share.most);
    EXPECT_NEAR(filter.load(42).false_match() / measured, 1, 0.05);
    EXPECT_FALSE(filter.load(42).saturated(TFO_BLOOM_MAIN));
  }
}

TEST(MonitorBloom, LoadIsThatOfTheThreeEpochs) {
  Filter filter(64);
  for (uint32_t i = 0; i < 10; i++) filter.insert(name(i), 100);
  filter.insert(name(3), 100);  // again: adds nothing
  filter.insert(name(3), 101);
  EXPECT_EQ(filter.load(101).inserts(TFO_BLOOM_MAIN, 0), 1U);
  EXPECT_EQ(filter.load(101).inserts(TFO_BLOOM_MAIN, 1), 10U);
  EXPECT_EQ(filter.load(103).inserts(TFO_BLOOM_MAIN, 2), 1U);
  EXPECT_EQ(filter.load(104).false_match(), 0);
  for (uint32_t i = 0; i < 4096; i++) filter.insert(name(i), 104);
  EXPECT_TRUE(filter.load(105).saturated(TFO_BLOOM_MAIN));
  EXPECT_FALSE(filter.load(105).saturated(TFO_BLOOM_HEAVY));
  EXPECT_FALSE(filter.load(107).saturated(TFO_BLOOM_MAIN));
}

/// As long as its SYNs are remembered, and no longer; of two with one hash the last one is named.
TEST(MonitorBloom, WhoFloodedIsKnownForThreeEpochs) {
  tfo_heavy_source source{};
  EXPECT_FALSE(tfo_is_heavy(&source, 100));
  const tfo_vip_key who = {.high = 1, .low = 2, .port = 0};
  const tfo_vip_key other = {.high = 1, .low = 3, .port = 0};
  tfo_note_heavy(&source, &who, 100);
  tfo_note_heavy(&source, &other, 101);
  EXPECT_EQ(source.address[0], other.high);
  EXPECT_EQ(source.address[1], other.low);
  for (const uint32_t epoch : {101U, 102U, 103U}) EXPECT_TRUE(tfo_is_heavy(&source, epoch));
  EXPECT_FALSE(tfo_is_heavy(&source, 104));
  EXPECT_FALSE(tfo_is_heavy(&source, 100)) << "the clock was set back";
}

/// After 2^16 epochs a stamp comes again; just then, and not before, an old word lives again.
TEST(MonitorBloom, StampWraps) {
  Filter filter(64);
  filter.insert(name(1), 0xfffe);
  EXPECT_TRUE(filter.has(name(1), 0x10000));
  EXPECT_FALSE(filter.has(name(1), 0x10001));
  filter.insert(name(2), 0x10000);
  EXPECT_TRUE(filter.has(name(2), 0x10002));
  EXPECT_FALSE(filter.has(name(2), 0x1ffff));
  EXPECT_TRUE(filter.has(name(2), 0x20000));
}

/// Both CPUs find the same old words when an epoch begins: one takes a word over, the other adds.
TEST(MonitorBloom, TwoCpusLoseNothing) {
  constexpr uint32_t kEpochs = 3000;
  std::array<tfo_bloom_line, 256> lines{};
  std::atomic<uint32_t> arrived{0};
  std::atomic<uint32_t> lost{0};
  const auto work = [&](uint32_t cpu) {
    for (uint32_t epoch = 1; epoch <= kEpochs; epoch++) {
      const __u64 hash = name(2 * epoch + cpu);
      arrived++;
      while (arrived < 2 * epoch) std::this_thread::yield();
      for (tfo_bloom_line& line : lines) tfo_bloom_insert(&line, hash, epoch);
      for (tfo_bloom_line& line : lines) lost += tfo_bloom_has(&line, hash, epoch) != 0 ? 0 : 1;
    }
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  EXPECT_EQ(lost, 0U);
}

TEST(MonitorBloom, SourcesAreCountedByEpoch) {
  __u32 cell = 0;
  for (int i = 0; i < 5; i++) tfo_source_add(&cell, 7);
  EXPECT_EQ(tfo_source_count(cell, 7), 5U);
  EXPECT_EQ(tfo_source_count(cell, 8), 0U);
  tfo_source_add(&cell, 8);
  EXPECT_EQ(tfo_source_count(cell, 8), 1U);
  EXPECT_EQ(tfo_source_count(cell, 8 + 4096), 1U) << "the epoch is known modulo 4,096";
  EXPECT_EQ(tfo_source_limit((1 << 18) - 1), 49152U);
  EXPECT_LE(tfo_source_limit((1U << 31) - 1), TFO_SOURCE_MOST);
}

TEST(MonitorBloom, AFloodDoesNotSpillIntoTheEpoch) {
  __u32 cell = 0;
  for (uint32_t i = 0; i < 3U << TFO_SOURCE_SHIFT; i++) tfo_source_add(&cell, 4095);
  EXPECT_EQ(tfo_source_count(cell, 4095), TFO_SOURCE_MOST);
}

}  // namespace
}  // namespace tfo
