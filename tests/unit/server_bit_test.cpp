// SPDX-License-Identifier: BSD-2-Clause
// When tcp_fastopen's server bit is on, and what happens to a bit that somebody else changes.
#include "loader/server/server_bit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loader/log.h"

namespace tfo {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kNow = 1'790'000'000;

class ServerBitTest : public testing::Test {
 protected:
  ServerBitTest() {
    ring_.generations = {{.id = 1, .key = Key::random(), .not_after = kNow + 100},
                         {.id = 2, .key = Key::random(), .place = TFO_PLACE_RETIRED},
                         {.id = 3, .key = Key::random(), .place = TFO_PLACE_REVOKED}};
  }

  ServerBit wanted(bool in_force = true, bool delay_over = true) {
    return wanted_server_bit({.ring = &ring_, .in_force = in_force}, now_, delay_over,
                             [this] { return held_; });
  }

  void keep(ServerBit wanted, OnDrift on_drift = OnDrift::repair) {
    keeper_.keep({.label = "a",
                  .read = [this] { return Result<unsigned>(bits_); },
                  .write =
                      [this](unsigned bits) {
                        ++writes_;
                        if (!fails_) bits_ = bits;
                        return fails_ ? fail("read-only") : Result<>();
                      }},
                 wanted, on_drift, now_, conditions_);
  }

  std::vector<std::string> raised() const {
    std::vector<std::string> ids;
    for (const Condition& condition : conditions_.list()) ids.push_back(condition.id);
    return ids;
  }

  void pass(int64_t seconds) {
    now_.unix_s += seconds;
    now_.boot_s += seconds;
  }

  Moment now_{.unix_s = kNow, .boot_s = 5000, .boot_id = "boot"};
  KeyRing ring_;
  Result<std::vector<Key>> held_ = std::vector<Key>();
  Conditions conditions_{[this] { return now_.unix_s; }};
  ServerBitKeeper keeper_;
  unsigned bits_ = 0x1;
  int writes_ = 0;
  bool fails_ = false;
};

TEST_F(ServerBitTest, IsOnOnceTheKeysAreInForceAndTheDelayIsOver) {
  EXPECT_EQ(wanted(), ServerBit::on);
  EXPECT_EQ(wanted(true, false), ServerBit::waiting);
  EXPECT_EQ(wanted_server_bit({}, now_, true, [this] { return held_; }), ServerBit::unknown);
}

TEST_F(ServerBitTest, KeysNotInForceLeaveItUnlessTheNamespaceMintsAlone) {
  held_ = std::vector<Key>{ring_.generations[1].key};
  EXPECT_EQ(wanted(false), ServerBit::unknown) << "a retired key is accepted by the others";
  held_ = std::vector<Key>{ring_.generations[2].key};
  EXPECT_EQ(wanted(false), ServerBit::foreign) << "a revoked one is not";
  held_ = std::vector<Key>{Key::random()};
  EXPECT_EQ(wanted(false), ServerBit::foreign);
  held_ = std::vector<Key>();
  EXPECT_EQ(wanted(false), ServerBit::foreign) << "the kernel would make a random one";
  held_ = fail("unreadable");
  EXPECT_EQ(wanted(false), ServerBit::unknown);
}

TEST_F(ServerBitTest, StaysOffUntilTheFarmCountsOnTheNode) {
  PoolKeys keys{.ring = &ring_, .in_force = true, .may_open = false};
  held_ = std::vector<Key>{ring_.generations[0].key};
  const auto wanted_now = [&] {
    return wanted_server_bit(keys, now_, true, [this] { return held_; });
  };
  EXPECT_EQ(wanted_now(), ServerBit::joining);
  keys.keeps_bit = true;
  EXPECT_EQ(wanted_now(), ServerBit::unknown) << "a tfod that was only restarted";
  held_ = std::vector<Key>{Key::random()};
  EXPECT_EQ(wanted_now(), ServerBit::foreign);
  keys.may_open = true;
  EXPECT_EQ(wanted_now(), ServerBit::on);
  keys = {.ring = &ring_, .in_force = true, .may_open = false};
  bits_ = 0x3;
  keep(wanted_now());
  EXPECT_EQ(bits_, 0x1U);
  EXPECT_THAT(raised(), IsEmpty()) << "a start is no trouble";
  pass(100);
  EXPECT_EQ(wanted_now(), ServerBit::expired);
}

TEST_F(ServerBitTest, IsOffFromTheLastKeysEndUntilThereAreFreshOnes) {
  pass(99);
  EXPECT_EQ(wanted(), ServerBit::on);
  pass(1);
  EXPECT_EQ(wanted(), ServerBit::expired);
  ring_.generations[0].not_after += 100;
  EXPECT_EQ(wanted(), ServerBit::on);
  ring_.generations.clear();
  EXPECT_EQ(wanted(), ServerBit::expired);
}

TEST_F(ServerBitTest, OnlyOurBitIsTouched) {
  bits_ = 0x605;
  keep(ServerBit::on);
  EXPECT_EQ(bits_, 0x607U);
  keep(ServerBit::expired);
  EXPECT_EQ(bits_, 0x605U);
  EXPECT_THAT(raised(), ElementsAre("server_off"));
  keep(ServerBit::on);
  EXPECT_EQ(bits_, 0x607U);
  EXPECT_THAT(raised(), IsEmpty());
  EXPECT_EQ(keeper_.repairs(), 0U) << "we changed it, nobody else";
}

TEST_F(ServerBitTest, ABitSetBeforeTheKeysOrTheDelayIsTakenAway) {
  bits_ = 0x3;
  keep(ServerBit::waiting);
  EXPECT_EQ(bits_, 0x1U);
  EXPECT_THAT(raised(), IsEmpty());
}

TEST_F(ServerBitTest, UnknownTouchesNothing) {
  for (const unsigned bits : {0x1U, 0x3U}) {
    bits_ = bits;
    keep(ServerBit::unknown);
    EXPECT_EQ(bits_, bits);
  }
  EXPECT_EQ(writes_, 0);
}

TEST_F(ServerBitTest, WhatSomebodyElseChangesIsPutBackAndShown) {
  keep(ServerBit::on);
  bits_ = 0x1;
  pass(2);
  keep(ServerBit::on);
  EXPECT_EQ(bits_, 0x3U);
  EXPECT_EQ(keeper_.repairs(), 1U);
  EXPECT_THAT(raised(), ElementsAre("server_bit_repaired"));
  for (int i = 0; i < 2; ++i) {
    bits_ = 0x1;
    pass(2);
    keep(ServerBit::on);
  }
  EXPECT_THAT(raised(), ElementsAre("server_bit_fight", "server_bit_repaired"));
  pass(RepairLog::kShown);
  keep(ServerBit::on);
  EXPECT_THAT(raised(), IsEmpty());
}

TEST_F(ServerBitTest, OrOnlyReported) {
  keep(ServerBit::on, OnDrift::report);
  EXPECT_EQ(bits_, 0x3U) << "the first time it is no drift";
  bits_ = 0x1;
  for (int i = 0; i < 2; ++i) {
    keep(ServerBit::on, OnDrift::report);
    EXPECT_EQ(bits_, 0x1U);
    EXPECT_THAT(raised(), ElementsAre("server_bit_drift"));
  }
  bits_ = 0x3;
  keep(ServerBit::on, OnDrift::report);
  EXPECT_THAT(raised(), IsEmpty());
}

TEST_F(ServerBitTest, AWriteThatFailsIsSaidAndTriedAgain) {
  fails_ = true;
  keep(ServerBit::on);
  EXPECT_THAT(raised(), ElementsAre("server_bit_failed"));
  fails_ = false;
  keep(ServerBit::on);
  EXPECT_EQ(bits_, 0x3U);
  EXPECT_THAT(raised(), IsEmpty());
}

TEST_F(ServerBitTest, OffForWantOfKeysIsSaidEveryMinute) {
  start_log("info");
  testing::internal::CaptureStderr();
  for (int64_t second = 0; second <= 3 * ServerBitKeeper::kRepeat; second += 2) {
    keep(ServerBit::expired);
    pass(2);
  }
  const std::string log = testing::internal::GetCapturedStderr();
  size_t lines = 0;
  for (size_t at = 0; (at = log.find("is off here", at)) != std::string::npos; ++at) ++lines;
  EXPECT_EQ(lines, 3U) << log;
  EXPECT_THAT(raised(), ElementsAre("server_off"));
}

}  // namespace
}  // namespace tfo
