// SPDX-License-Identifier: BSD-2-Clause
// Derived pools and clocks that are wrong, set, or not to be trusted.
#include <gmock/gmock.h>

#include "tests/unit/derived_world.h"

namespace tfo::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class DerivedClockTest : public DerivedTest {
 protected:
  void reboot(int64_t unix_s, bool synchronised) {
    clock_.moment = {
        .unix_s = unix_s, .boot_s = 20, .boot_id = "next boot", .synchronised = synchronised};
  }
};

TEST_F(DerivedClockTest, ABootIn1970KeepsTheKeysOfTheLastRun) {
  auto store = make_store();
  ASSERT_EQ(open(*store), "");
  run_to(*store, kEdge + 60);
  const std::string before = store->ring().sysctl_value().str();
  const int64_t left = store->ring().current()->not_after - (kEdge + 52);
  reboot(1000, false);
  store = make_store();
  ASSERT_EQ(open(*store), "");
  EXPECT_EQ(store->ring().sysctl_value().view(), before);
  EXPECT_THAT(trouble(*store, "clock_unsure"), HasSubstr("synchronised"));
  EXPECT_EQ(store->ring().renewal.target, 0U);
  EXPECT_EQ(store->ring().fresh_until, 1) << "others may use keys by now that are not here";
  EXPECT_EQ(store->ring().current()->not_after - 1000, left) << "by the clock as it is";
  // Time does not make it right, and the keys end.
  clock_.pass(200);
  EXPECT_EQ(settle(*store), "");
  EXPECT_EQ(store->ring().sysctl_value().view(), before);
  EXPECT_EQ(store->ring().current()->not_after - 1000, left);

  set_clock(kEdge + 260);
  clock_.moment.synchronised = true;
  EXPECT_EQ(settle(*store), "");
  EXPECT_EQ(store->ring().sysctl_value().view(), slots());
  EXPECT_EQ(store->ring().fresh_until, 0);
  EXPECT_EQ(trouble(*store, "clock_unsure"), "");
}

TEST_F(DerivedClockTest, AClockThatNobodyKeepsIsGoodEnoughUnlessItIsBehind) {
  clock_.moment.synchronised = false;
  set_clock(INT64_C(4'000'000'010));
  auto store = make_store();
  ASSERT_EQ(open(*store), "");
  EXPECT_EQ(store->ring().sysctl_value().view(), slots());
  run_to(*store, INT64_C(4'000'000'200));
  EXPECT_EQ(store->ring().sysctl_value().view(), slots());
  EXPECT_EQ(trouble(*store, "clock_unsure"), "");
}

TEST_F(DerivedClockTest, AFirstStartBeforeTheSecretWasWrittenIsRefused) {
  reboot(1000, false);
  EXPECT_THAT(open(*make_store()), HasSubstr("1970-01-01 00:16:40 UTC"));
  reboot(1000, true);
  EXPECT_EQ(open(*make_store()), "");
}

TEST_F(DerivedClockTest, AClockSetBackByHandWaitsUntilItIsThereAgain) {
  const auto store = make_store();
  ASSERT_EQ(open(*store), "");
  run_to(*store, kEdge + 60);
  const std::string before = store->ring().sysctl_value().str();
  const int64_t end = store->ring().current()->not_after;
  clock_.moment.synchronised = false;
  set_clock(kEdge + 60 - 3600);
  EXPECT_EQ(settle(*store), "");
  EXPECT_EQ(store->ring().sysctl_value().view(), before);
  EXPECT_EQ(store->ring().current()->not_after, end - 3600);
  EXPECT_THAT(trouble(*store, "clock_unsure"), Not(IsEmpty()));
  EXPECT_EQ(store->next_wakeup(), kEdge + 52);
  pass_to(kEdge + 52);
  EXPECT_EQ(settle(*store), "");
  EXPECT_EQ(trouble(*store, "clock_unsure"), "");
  EXPECT_EQ(store->ring().sysctl_value().view(), slots());
}

TEST_F(DerivedClockTest, AStepOfATrustedClockIsFollowedAndRenewalWaits) {
  for (const int64_t step : {int64_t{3600}, int64_t{-3600}}) {
    clock_ = FakeClock();
    set_clock(kEdge + 70);
    const auto store = make_store();
    ASSERT_EQ(open(*store), "");
    EXPECT_EQ(settle(*store), "");
    EXPECT_NE(store->ring().renewal.target, 0U);
    set_clock(kEdge + 70 + step);
    EXPECT_EQ(settle(*store), "");
    EXPECT_EQ(store->ring().sysctl_value().view(), slots());
    EXPECT_EQ(store->ring().renewal.target, 0U);
    EXPECT_NE(store->ring().find(key('s', kIndex)), nullptr) << "it may have been right before";
    EXPECT_THAT(trouble(*store, "clock_suspect"), HasSubstr(std::to_string(step) + " s"));
    EXPECT_TRUE(store->ring().check());
    // Back again: it heals by itself.
    set_clock(kEdge + 80);
    EXPECT_EQ(settle(*store), "");
    EXPECT_EQ(store->ring().sysctl_value().view(), slots());
    run_to(*store, kEdge + 180);
    EXPECT_EQ(trouble(*store, "clock_suspect"), "");
    EXPECT_NE(store->ring().renewal.target, 0U);
    std::filesystem::remove(state_path());
  }
}

TEST_F(DerivedClockTest, TimeAsleepIsNoStep) {
  const auto store = make_store();
  ASSERT_EQ(open(*store), "");
  clock_.pass(36'000);
  EXPECT_EQ(settle(*store), "");
  EXPECT_EQ(store->ring().sysctl_value().view(), slots());
  EXPECT_EQ(trouble(*store, "clock_suspect"), "");
}

TEST_F(DerivedClockTest, ACookieBeforeItsTimeStopsRenewal) {
  StagedWatch::Count seen{.epoch = 1, .staged = 1000};
  const auto store = make_store([&] { return std::optional(seen); });
  ASSERT_EQ(open(*store), "");
  run_to(*store, kEdge + 40);
  EXPECT_EQ(trouble(*store, "clock_suspect"), "");
  EXPECT_NE(store->ring().renewal.target, 0U);
  seen.staged += 3;
  run_to(*store, kEdge + 60);
  EXPECT_THAT(trouble(*store, "clock_suspect"), HasSubstr("3 cookies"));
  EXPECT_EQ(store->ring().renewal.target, 0U);
  run_to(*store, kEdge + 150);
  EXPECT_EQ(store->ring().renewal.target, 0U);
  run_to(*store, kEdge + 175);
  EXPECT_EQ(trouble(*store, "clock_suspect"), "") << "one interval was quiet";
  EXPECT_NE(store->ring().renewal.target, 0U);
}

TEST_F(DerivedClockTest, HonestCookiesUnderTheNextKeyAreNoSign) {
  StagedWatch::Count seen{.epoch = 1, .staged = 0};
  const auto store = make_store([&] { return std::optional(seen); });
  ASSERT_EQ(open(*store), "");
  for (int64_t time = kEdge + 11; time < kEdge + 400; ++time) {
    ASSERT_NO_FATAL_FAILURE(run_to(*store, time));
    // From 2 x max_skew before the edge on, until our own ring changes.
    const int64_t past = time % 100;
    if (past >= 92 || past < 2) ++seen.staged;
    EXPECT_EQ(trouble(*store, "clock_suspect"), "") << past;
  }
}

TEST_F(DerivedClockTest, CookiesUntilALateChangeOfOurRingAreNoSign) {
  StagedWatch::Count seen{.epoch = 1, .staged = 0};
  bool late = false;
  const auto store = make_store([&] {
    const StagedWatch::Count counted = seen;
    // Packets go on while we count, and until the ring that we make is in force.
    if (late) ++seen.staged;
    return std::optional(counted);
  });
  ASSERT_EQ(open(*store), "");
  run_to(*store, kEdge + 85);
  late = true;
  pass_to(kEdge + 104);
  ASSERT_EQ(settle(*store), "");
  late = false;
  run_to(*store, kEdge + 140);
  EXPECT_EQ(trouble(*store, "clock_suspect"), "");
  EXPECT_NE(store->ring().renewal.target, 0U);
}

TEST_F(DerivedClockTest, OtherVipsMakeNoSuspicion) {
  StagedWatch::Count seen{.epoch = 1, .staged = 0};
  const auto store = make_store([&] { return std::optional(seen); });
  ASSERT_EQ(open(*store), "");
  run_to(*store, kEdge + 20);
  seen = {.epoch = 2, .staged = 500};
  run_to(*store, kEdge + 60);
  EXPECT_EQ(trouble(*store, "clock_suspect"), "");
}

}  // namespace
}  // namespace tfo::test
