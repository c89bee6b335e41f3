// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

#include "bpf/load.h"
#include "loader/guard/handshake_ring.h"

namespace tfo {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

/// A load as the programs keep it.
struct Load {
  void at(double seconds) { now_ns = kStart + static_cast<uint64_t>(seconds * kSecond); }
  uint32_t bucket() const { return tfo_bucket(now_ns); }
  void bring_up() {
    tfo_brought_up up{};
    if ((head.epoch & TFO_EPOCH_MASK) != bucket()) {
      tfo_load_bring_up(&head, &row, (head.epoch & TFO_HEAD_RING) != 0 ? 1 : 0,
                        head.epoch & TFO_EPOCH_MASK, bucket(), &up);
      head.epoch = (head.epoch & ~TFO_EPOCH_MASK) | TFO_HEAD_RING | bucket();
    }
  }
  void open(unsigned count) {
    if (head.tag == 0) tfo_load_begin(&head, 1, bucket());
    bring_up();
    for (unsigned i = 0; i < count; ++i) tfo_load_open(&head);
  }
  /// Of those that were opened in `from`.
  void settle(uint32_t from, unsigned count, bool reset) {
    bring_up();
    if ((head.epoch & TFO_HEAD_RING) == 0) {
      tfo_clear_ring(&row);
      head.epoch |= TFO_HEAD_RING;
    }
    for (unsigned i = 0; i < count; ++i) {
      tfo_load_settle(&head, &row, from, bucket(), reset ? 1 : 0);
    }
  }
  HandshakeRing ring() const { return handshake_ring(head, row, now_ns); }

  /// A bucket begins a moment before.
  static constexpr uint64_t kStart = 1000 * (8739ULL << TFO_TICK_SHIFT);
  uint64_t now_ns = kStart;
  tfo_guard_head head{};
  tfo_guard_row row{};
};

TEST(HandshakeRing, IsWhatTheNextPacketWouldFind) {
  Load load;
  load.row.opened[3] = 99;  // of whoever sat here before
  const uint32_t first = load.bucket();
  load.open(10);
  EXPECT_EQ(load.ring().age[0].opened, 10U);
  EXPECT_EQ(load.ring().age[0].unanswered, 10U);
  EXPECT_EQ(load.ring().age[5].opened, 0U);
  load.settle(first, 4, false);
  load.settle(first, 1, true);
  EXPECT_EQ(load.ring().age[0].unanswered, 5U);
  EXPECT_EQ(load.ring().age[0].reset, 1U);
  load.at(20);
  const HandshakeRing later = load.ring();
  EXPECT_EQ(later.bucket, first + 2);
  EXPECT_EQ(later.age[0].opened, 0U);
  EXPECT_EQ(later.age[2].opened, 10U) << "no packet has come, and yet it is old";
  EXPECT_EQ(later.age[2].unanswered, 5U);
  load.at(200);
  for (const auto& one : load.ring().age) EXPECT_EQ(one.opened, 0U) << "nobody waits any more";
}

TEST(HandshakeRing, PatienceIsThreeSeconds) {
  Load load;
  load.open(1);
  const uint32_t first = load.bucket();
  double seconds = 0;
  const auto step = [&] { load.at(seconds += 0.05); };
  while (load.bucket() == first) step();
  const double ended = seconds;
  EXPECT_EQ(load.ring().settled_for, 2U);
  while (load.ring().settled_for != 1) step();
  EXPECT_NEAR(seconds - ended, 3, 0.1);
}

TEST(FailedHandshakes, CountsEachBucketOnceWhenItsTimeIsOver) {
  Load load;
  FailedHandshakes failed;
  failed.look(load.ring());
  load.open(50);
  load.settle(load.bucket(), 20, false);
  load.settle(load.bucket(), 10, true);
  failed.look(load.ring());
  EXPECT_EQ(failed.opened(), 0U) << "they may yet answer";
  load.at(11);
  failed.look(load.ring());
  EXPECT_EQ(failed.opened(), 0U) << "opened at the end of the bucket, they have had two seconds";
  load.at(13);
  for (int i = 0; i < 3; ++i) failed.look(load.ring());
  EXPECT_EQ(failed.opened(), 50U);
  EXPECT_EQ(failed.unanswered(), 20U);
  EXPECT_EQ(failed.reset(), 10U);
  EXPECT_EQ(failed.failed(), 30U);
  load.settle(load.bucket() - 1, 5, false);
  failed.look(load.ring());
  EXPECT_EQ(failed.failed(), 30U) << "late is late";
  load.open(7);
  load.at(40);
  failed.look(load.ring());
  EXPECT_EQ(failed.opened(), 57U);
}

TEST(FailedHandshakes, BeginsAtZeroAndThenCountsTheLastMinute) {
  Load load;
  load.open(100);
  load.at(90);
  load.open(30);
  load.at(120);
  FailedHandshakes failed;
  failed.look(load.ring());
  EXPECT_EQ(failed.opened(), 0U) << "what the engine compares with";
  failed.look(load.ring());
  EXPECT_EQ(failed.opened(), 30U);
}

TEST(FailedHandshakes, APauseAndAClockThatGoesBackAreHarmless) {
  Load load;
  FailedHandshakes failed;
  failed.look(load.ring());
  load.at(100'000);
  load.open(5);
  load.at(100'030);
  failed.look(load.ring());
  EXPECT_EQ(failed.opened(), 5U);
  load.at(50'000);
  failed.look(load.ring());
  EXPECT_EQ(failed.opened(), 5U);
}

}  // namespace
}  // namespace tfo
