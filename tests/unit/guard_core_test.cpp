// SPDX-License-Identifier: BSD-2-Clause
// The guard's pure core on the host: names, answers, loads, limits, retransmissions.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "bpf/load.h"
#include "bpf/retry.h"
#include "bpf/tuple.h"

namespace tfo {
namespace {

constexpr __u64 kSeed[2] = {0x0123456789abcdefULL, 0xfedcba9876543210ULL};

tfo_flow flow4(const char* source, const char* destination) {
  tfo_flow flow{};
  flow.family = 4;
  inet_pton(AF_INET, source, flow.word);
  inet_pton(AF_INET, destination, reinterpret_cast<uint8_t*>(flow.word) + 4);
  return flow;
}

tfo_flow flow6(const char* source, const char* destination) {
  tfo_flow flow{};
  flow.family = 6;
  inet_pton(AF_INET6, source, flow.word);
  inet_pton(AF_INET6, destination, flow.word + 2);
  return flow;
}

std::string network(const tfo_flow& flow, int level) {
  tfo_network found{};
  tfo_network_of(&found, &flow, level);
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(AF_INET6, &found, text, sizeof(text));
}

TEST(GuardTuple, BothDirectionsHaveOneName) {
  const __u32 ports = 0x1234abcd;
  for (const tfo_flow& flow : {flow4("10.1.2.3", "192.0.2.10"), flow6("2001:db8::1", "fd00::2")}) {
    tfo_flow back{}, again{};
    tfo_reverse_flow(&back, &flow);
    tfo_reverse_flow(&again, &back);
    EXPECT_TRUE(std::ranges::equal(again.word, flow.word));
    EXPECT_EQ(tfo_tuple_hash(&again, tfo_reverse_ports(tfo_reverse_ports(ports)), kSeed),
              tfo_tuple_hash(&flow, ports, kSeed));
    EXPECT_NE(tfo_tuple_hash(&back, ports, kSeed), tfo_tuple_hash(&flow, ports, kSeed));
  }
  const tfo_flow back = [] {
    const tfo_flow flow = flow4("10.1.2.3", "192.0.2.10");
    tfo_flow out{};
    tfo_reverse_flow(&out, &flow);
    return out;
  }();
  EXPECT_EQ(back.word[0], flow4("192.0.2.10", "10.1.2.3").word[0]);
}

/// Neighbours fill a table as evenly as chance: of n in n sets, 1/e stay empty.
TEST(GuardTuple, NeighboursSpread) {
  constexpr unsigned kSets = 65536;
  for (const bool ports_differ : {false, true}) {
    std::set<__u32> low, high;
    for (unsigned i = 0; i < kSets; i++) {
      tfo_flow flow = flow4("10.0.0.0", "192.0.2.10");
      const __u32 source = htonl(0x0a000000U + (ports_differ ? i / 60000 : i));
      std::memcpy(flow.word, &source, sizeof(source));
      const __u32 ports = htonl((ports_differ ? 1024U + i % 60000 : 40000U) << 16 | 443U);
      const __u64 hash = tfo_tuple_hash(&flow, ports, kSeed);
      low.insert(static_cast<__u32>(hash) & (kSets - 1));
      high.insert(static_cast<__u32>(hash >> 32));
    }
    EXPECT_NEAR(low.size(), kSets * 0.632, kSets * 0.02) << ports_differ;
    EXPECT_GT(high.size(), kSets - 20U) << ports_differ;
  }
}

TEST(GuardTuple, SequenceNumbersWrap) {
  for (const __u32 isn : {0U, 0xfffffff0U, 0xffffffffU, 0x7ffffff8U}) {
    EXPECT_EQ(tfo_judge_answer(TFO_TCP_ACK, isn + 1 + 20, isn, 20, 0), TFO_OUTCOME_ACCEPTED);
    EXPECT_EQ(tfo_judge_answer(TFO_TCP_ACK, isn + 1 + 19, isn, 20, 0), TFO_OUTCOME_NOT_ACCEPTED);
    EXPECT_EQ(tfo_judge_answer(TFO_TCP_ACK, isn + 1, isn, 0, 0), TFO_OUTCOME_OPENED);
    EXPECT_EQ(tfo_judge_answer(TFO_TCP_ACK, isn, isn, 20, 0), TFO_NO_OUTCOME);
    EXPECT_EQ(tfo_judge_answer(TFO_TCP_RST, isn + 21, isn, 20, 0), TFO_OUTCOME_RESET);
    EXPECT_EQ(tfo_judge_answer(TFO_TCP_RST, isn + 20, isn, 20, 0), TFO_NO_OUTCOME);
    EXPECT_EQ(tfo_judge_answer(TFO_TCP_RST, isn + 1, isn, 20, 0), TFO_NO_OUTCOME)
        << "a server that has the data ignores it";
    EXPECT_EQ(tfo_judge_answer(TFO_TCP_RST, isn + 1, isn, 0, 0), TFO_OUTCOME_RESET);
    constexpr __u8 kRefused = TFO_HANDSHAKE_REFUSED, kPart = TFO_HANDSHAKE_PART;
    EXPECT_EQ(tfo_judge_answer(TFO_TCP_RST, isn + 1, isn, 20, kRefused), TFO_OUTCOME_RESET);
    EXPECT_EQ(tfo_judge_answer(TFO_TCP_RST, isn + 21, isn, 20, kRefused), TFO_NO_OUTCOME);
    EXPECT_EQ(tfo_judge_answer(TFO_TCP_RST, isn + 21, isn, 20, kPart), TFO_NO_OUTCOME)
        << "of how much data nobody knows";
    EXPECT_EQ(tfo_judge_answer(0, isn + 1, isn, 0, 0), TFO_NO_OUTCOME);
  }
}

TEST(GuardTuple, AWordKeepsWhatItIsGiven) {
  const __u64 word = tfo_handshake_word(0xdeadbeef, 0xfffe, TFO_HANDSHAKE_PENDING, 3);
  EXPECT_EQ(tfo_handshake_fingerprint(word), 0xdeadbeefU);
  EXPECT_EQ(tfo_handshake_len(word), 0xfffe);
  EXPECT_EQ(tfo_handshake_state(word), TFO_HANDSHAKE_PENDING);
  EXPECT_EQ(tfo_handshake_flags(word), 3);
  const __u64 settled = tfo_handshake_become(word, TFO_HANDSHAKE_SETTLED);
  EXPECT_EQ(settled, tfo_handshake_word(0xdeadbeef, 0xfffe, TFO_HANDSHAKE_SETTLED, 3));
}

TEST(GuardLoad, NetworksByLevel) {
  const tfo_flow v4 = flow4("10.1.2.3", "192.0.2.10");
  EXPECT_EQ(network(v4, TFO_LEVEL_ADDRESS), "::ffff:10.1.2.3");
  EXPECT_EQ(network(v4, TFO_LEVEL_NETWORK), "::ffff:10.1.2.0");
  const tfo_flow v6 = flow6("2001:db8:1:2:3:4:5:6", "fd00::2");
  EXPECT_EQ(network(v6, TFO_LEVEL_ADDRESS), "2001:db8:1:2:3:4:5:6");
  EXPECT_EQ(network(v6, TFO_LEVEL_NETWORK), "2001:db8:1:2::");
  EXPECT_EQ(network(v6, TFO_LEVEL_SITE), "2001:db8:1::");
}

/// Against a plain list of (bucket opened, settled?), whatever the gaps between buckets.
TEST(GuardLoad, BucketsAgreeWithAList) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; round++) {
    tfo_guard_head head{};
    tfo_guard_row row{};
    std::vector<__u32> open;          // buckets of what is pending
    __u32 now = TFO_EPOCH_MASK - 40;  // wraps
    __u64 timeouts = 0, expired = 0;
    tfo_load_begin(&head, 1, now);
    bool ring = false;
    for (int step = 0; step < 200; step++) {
      const __u32 before = now;
      now = (now + (random() % 4 == 0 ? random() % 20 : 0)) & TFO_EPOCH_MASK;
      if (now != before) {
        tfo_brought_up up{};
        tfo_load_bring_up(&head, &row, ring ? 1 : 0, before, now, &up);
        ring = true;
        timeouts += up.timeouts;
        expired += static_cast<__u64>(std::erase_if(open, [now](__u32 bucket) {
          return ((now - bucket) & TFO_EPOCH_MASK) >= TFO_PENDING_BUCKETS;
        }));
      }
      if (random() % 3 != 0 || open.empty()) {
        tfo_load_open(&head);
        open.push_back(now);
      } else {
        if (!ring) tfo_clear_ring(&row);
        ring = true;
        const size_t at = random() % open.size();
        tfo_load_settle(&head, &row, open[at], now, 0);
        open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
      }
      ASSERT_EQ(tfo_load_of(&head, 0), open.size()) << round << ' ' << step;
    }
    EXPECT_EQ(timeouts, expired);
  }
}

/// Silent children hold their places 127 s (tcp_synack_retries of 5), reset ones 60 s
/// (tcp_fastopen.c), and longer as timers are late (calc_wheel_index), from whatever moment of a
/// bucket on.
TEST(GuardLoad, NothingIsForgottenBeforeTheKernelDoes) {
  constexpr __u64 kMs = 1'000'000;
  constexpr __u64 kBucketNs = 8739ULL << TFO_TICK_SHIFT;  // whole ticks
  for (const bool reset : {false, true}) {
    const __u64 held = (reset ? 64'000 : 137'000) * kMs;
    for (__u64 moment = 0; moment < kBucketNs; moment += 100 * kMs) {
      const __u64 start = 1000 * kBucketNs + moment;
      const auto load_after = [&](__u64 passed) {
        tfo_guard_head head{};
        tfo_guard_row row{};
        const __u32 first = tfo_bucket(start);
        tfo_load_begin(&head, 1, first);
        tfo_load_open(&head);
        if (reset) tfo_load_settle(&head, &row, first, first, 1);
        tfo_brought_up up{};
        tfo_load_bring_up(&head, &row, 1, first, tfo_bucket(start + passed), &up);
        return tfo_load_of(&head, 0);
      };
      EXPECT_EQ(load_after(held), 1U) << moment;
      EXPECT_EQ(load_after(held + 10'000 * kMs), 0U) << moment;
    }
  }
}

TEST(GuardLoad, WhatIsSettledTwiceIsForgottenInTheNextBucket) {
  tfo_guard_head head{};
  tfo_guard_row row{};
  tfo_load_begin(&head, 1, 100);
  for (int i = 0; i < 3; i++) tfo_load_open(&head);
  for (int i = 0; i < 5; i++) tfo_load_settle(&head, &row, 100, 100, 0);
  EXPECT_EQ(tfo_load_of(&head, 0), 0U) << "never below nothing";
  tfo_brought_up up{};
  tfo_load_bring_up(&head, &row, 1, 100, 101, &up);
  tfo_load_open(&head);
  EXPECT_EQ(tfo_load_of(&head, 0), 1U);
}

TEST(GuardLoad, OneOfSeveralBringsALoadUp) {
  tfo_guard_head head{};
  head.epoch = 5 | TFO_HEAD_GUARDED;
  const __u32 before = head.epoch;
  EXPECT_TRUE(tfo_load_claim(&head, before, 6));
  EXPECT_FALSE(tfo_load_claim(&head, before, 6));
  EXPECT_EQ(head.epoch, 6 | TFO_HEAD_GUARDED | TFO_HEAD_RING);
}

TEST(GuardLoad, LimitsFallAsTheVipFills) {
  EXPECT_EQ(tfo_limit_now(16, 99, 100), 16U);
  EXPECT_EQ(tfo_limit_now(16, 100, 100), 8U);
  EXPECT_EQ(tfo_limit_now(16, 113, 100), 4U);
  EXPECT_EQ(tfo_limit_now(16, 125, 100), 2U);
  EXPECT_EQ(tfo_limit_now(16, 200, 100), 1U);
  EXPECT_EQ(tfo_limit_now(16, UINT32_MAX, 1), 1U);
  EXPECT_EQ(tfo_limit_now(0, 200, 100), 0U) << "no limit stays none";
  EXPECT_EQ(tfo_limit_now(16, 200, 0), 16U);
}

TEST(GuardLoad, TheLastBoundIsForAll) {
  EXPECT_FALSE(tfo_is_full(174, 100));
  EXPECT_TRUE(tfo_is_full(175, 100));
  EXPECT_FALSE(tfo_is_full(UINT32_MAX, 0)) << "no cap";
  EXPECT_FALSE(tfo_is_full(5, UINT32_MAX));
  EXPECT_FALSE(tfo_is_full(0, 1));
  tfo_guard_head proven{};
  proven.epoch = TFO_HEAD_PROVEN;
  EXPECT_TRUE(tfo_is_closed(nullptr, 150, 100));
  EXPECT_FALSE(tfo_is_closed(&proven, 174, 100));
  EXPECT_FALSE(tfo_is_closed(nullptr, 5, UINT32_MAX));
}

TEST(GuardLoad, EachNetworkHasDemotionsOfItsOwn) {
  tfo_guard_row row{};
  for (const __u32 bucket : {0U, 1U, 77U, TFO_EPOCH_MASK, 0U}) {
    for (int i = 0; i < 5; i++) {
      EXPECT_EQ(tfo_take_own(&row, 1, 1, bucket), i < TFO_OWN_DEMOTIONS) << bucket << ' ' << i;
    }
  }
}

TEST(GuardLoad, WhoDoesNotAnswerHasNoMoreDemotionsOfItsOwnForAWhile) {
  constexpr __u64 kFirst = 7ULL << 16, kSecond = 8ULL << 16;
  tfo_guard_row row{};
  EXPECT_EQ(tfo_take_own(&row, kFirst, 0, 100), 1);
  EXPECT_EQ(tfo_take_own(&row, kFirst, 0, 100), 1) << "its neighbour comes in the same moment";
  EXPECT_EQ(tfo_take_own(&row, kFirst, 0, 101), 0);
  EXPECT_EQ(tfo_take_own(&row, kFirst, 0, 100 + TFO_BUCKETS - 1), 0);
  EXPECT_EQ(tfo_take_own(&row, kFirst, 1, 101), 1) << "it has answered";
  EXPECT_EQ(tfo_take_own(&row, kFirst, 0, 101 + TFO_BUCKETS), 1);
  EXPECT_EQ(tfo_take_own(&row, kSecond, 0, 102 + TFO_BUCKETS), 1) << "whose row it was before";
}

TEST(GuardLoad, ATagNamesItsSlot) {
  const tfo_network network{1, 2};
  for (const __u16 slot : {0, 1, 77, 65535}) {
    const __u64 tag = tfo_load_tag(&network, slot, TFO_LEVEL_NETWORK, kSeed);
    EXPECT_EQ(tag >> TFO_TAG_SLOT_SHIFT, slot);
    EXPECT_NE(tag, 0U);
  }
}

TEST(GuardLoad, WhoHasAnsweredMakesPlaceAfterStrangers) {
  tfo_guard_head stranger{}, proven{}, guarded{};
  tfo_load_begin(&stranger, 1, 100);
  tfo_load_begin(&proven, 2, 100);
  proven.epoch |= TFO_HEAD_PROVEN;
  tfo_load_begin(&guarded, 3, 100);
  guarded.epoch |= TFO_HEAD_GUARDED;
  EXPECT_EQ(tfo_load_worth(&stranger, 100), static_cast<__u32>(TFO_WORTHLESS));
  EXPECT_GT(tfo_load_worth(&proven, 100), static_cast<__u32>(TFO_WORTHLESS));
  EXPECT_EQ(tfo_load_worth(&guarded, 100), TFO_PRICELESS);
  EXPECT_EQ(tfo_load_worth(&proven, 100 + TFO_BUCKETS), 0U) << "not seen for two minutes";
}

struct Opened {
  const char* what;
  __u32 opened, settled, resets;
  bool silent;
};

constexpr Opened kOpened[] = {
    {"silent", 1, 0, 0, true},
    {"reset", 1, 1, 1, true},
    {"all answered", 8, 8, 0, false},
    {"one of three", 3, 2, 0, true},
    {"one of four", 4, 3, 0, false},
    {"some of many", 1000, 950, 0, false},
    {"some of many reset, some silent", 1000, 850, 99, false},
    {"too many", 1000, 850, 101, true},
    {"nothing opened", 0, 0, 0, false},
};

TEST(GuardLoad, ProofEndsWithSilence) {
  for (const Opened& one : kOpened) {
    for (const __u32 flags : {0U, TFO_HEAD_GUARDED}) {
      tfo_guard_head head{};
      tfo_guard_row row{};
      tfo_load_begin(&head, 1, 100);
      head.epoch |= TFO_HEAD_PROVEN | flags;
      for (__u32 i = 0; i < one.opened; i++) tfo_load_open(&head);
      for (__u32 i = 0; i < one.settled; i++) {
        tfo_load_settle(&head, &row, 100, 100, i < one.resets ? 1 : 0);
      }
      tfo_brought_up up{};
      tfo_load_bring_up(&head, &row, 1, 100, 100 + TFO_PENDING_BUCKETS - 1, &up);
      EXPECT_EQ(head.epoch & ~TFO_EPOCH_MASK, TFO_HEAD_PROVEN | flags) << one.what << ": in time";
      tfo_load_bring_up(&head, &row, 1, 100 + TFO_PENDING_BUCKETS - 1, 100 + TFO_PENDING_BUCKETS,
                        &up);
      EXPECT_EQ(head.epoch & ~TFO_EPOCH_MASK,
                (one.silent ? TFO_HEAD_LAPSED : TFO_HEAD_PROVEN) | flags)
          << one.what;
    }
  }
}

TEST(GuardLoad, Hysteresis) {
  EXPECT_FALSE(tfo_is_over(7, 8, 0));
  EXPECT_TRUE(tfo_is_over(8, 8, 0));
  EXPECT_TRUE(tfo_is_over(5, 8, 1));
  EXPECT_FALSE(tfo_is_over(4, 8, 1));
  EXPECT_FALSE(tfo_is_over(0, 1, 1));
  EXPECT_FALSE(tfo_is_over(UINT32_MAX, 0, 0));
}

constexpr __u32 kUnits = 119;  // of TFO_RETRY_UNIT in a second

TEST(GuardRetry, WithinHalfASecondAndEight) {
  tfo_retry_set set{};
  const __u32 start = TFO_RETRY_TIME - 100;  // wraps
  EXPECT_EQ(tfo_retry_seen(&set, 77, start), 0);
  EXPECT_EQ(tfo_retry_seen(&set, 77, start + kUnits / 3), 0) << "too soon";
  EXPECT_EQ(tfo_retry_seen(&set, 78, start + kUnits), 0) << "another";
  EXPECT_EQ(tfo_retry_seen(&set, 77, start + kUnits), 1);
  EXPECT_EQ(tfo_retry_seen(&set, 77, start + 3 * kUnits), 1) << "the second retransmission";
  EXPECT_EQ(tfo_retry_seen(&set, 77, start + 9 * kUnits), 0) << "too late: the first of another";
  EXPECT_EQ(tfo_retry_seen(&set, 77, start + 10 * kUnits), 1);
}

TEST(GuardRetry, AFloodDoesNotDriveOutWhoComesBack) {
  tfo_retry_set set{};
  const __u32 start = 5000;
  EXPECT_EQ(tfo_retry_seen(&set, 1, start), 0);
  for (__u32 i = 0; i < 10000; i++) {
    EXPECT_EQ(tfo_retry_seen(&set, 1000 + i, start + i * kUnits / 10000), 0);
  }
  EXPECT_EQ(tfo_retry_seen(&set, 1, start + kUnits), 1);
  EXPECT_EQ(tfo_retry_seen(&set, 2, start + 2 * kUnits), 0) << "room again";
  EXPECT_EQ(tfo_retry_seen(&set, 2, start + 3 * kUnits), 1);
}

}  // namespace
}  // namespace tfo
