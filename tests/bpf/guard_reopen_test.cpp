// SPDX-License-Identifier: BSD-2-Clause
// Answers that the guard saw and the server did not take: its SYN-ACK leaves again.
#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>

#include "tests/support/guard_egress.h"
#include "tests/support/guard_world.h"
#include "tests/support/outcome.h"

namespace tfo::test {
namespace {

constexpr uint32_t kData = 20;         // bytes in the SYNs
constexpr uint32_t kIsn = 0x9abcdef0;  // the server's

tfo_guard exact(uint32_t limit) {
  tfo_guard guard{};
  guard.flags = TFO_GUARD_ON | TFO_GUARD_EXACT;
  guard.limit[TFO_LEVEL_ADDRESS] = guard.limit[TFO_LEVEL_NETWORK] = limit;
  guard.limit[TFO_LEVEL_SITE] = limit;
  guard.limit[TFO_LEVEL_VIP] = 4 * limit;
  return guard;
}

class GuardReopens : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto world = GuardWorld::make(exact(8), 4096);
    ASSERT_OK(world);
    world_.emplace(std::move(*world));
    auto egress = load_egress(world_->xdp());
    ASSERT_OK(egress);
    egress_.emplace(std::move(*egress));
  }
  Packet syn(uint16_t port) const { return GuardWorld::syn(GetParam(), kData).ports(port, 443); }
  bool says(const Packet& syn, uint8_t flags, uint32_t past, uint32_t ack = kIsn + 1) {
    return world_->send(GuardWorld::segment(syn, flags, past, ack)).has_value();
  }
  bool answers(const Packet& syn, uint32_t isn = kIsn) {
    return leave(*egress_, syn_ack(syn, isn, kData)).has_value();
  }
  /// Of the VIP: handshakes open and reset.
  uint32_t load() const { return test::load(*world_); }
  /// Heads of client networks that have answered.
  size_t proven() const {
    const auto loads = world_->loads();
    if (!loads) return SIZE_MAX;
    return static_cast<size_t>(std::ranges::count_if(
        *loads, [](const auto& one) { return (one.head.epoch & TFO_HEAD_PROVEN) != 0; }));
  }
  std::optional<GuardWorld> world_;
  std::optional<EgressSkeleton> egress_;
};

TEST_P(GuardReopens, TheSynAckThatLeavesAgainPutsTheHandshakeBack) {
  const Packet one = syn(4000);
  ASSERT_OK(world_->send(one));
  ASSERT_TRUE(answers(one));
  ASSERT_TRUE(says(one, kAck, kData));
  EXPECT_EQ(load(), 0U);
  EXPECT_NE(proven(), 0U);
  world_->advance(kSecond);
  ASSERT_TRUE(answers(one));
  EXPECT_EQ(load(), 1U);
  EXPECT_EQ(proven(), 0U);
  ASSERT_TRUE(says(one, kAck, kData)) << "the honest one answers once more";
  EXPECT_EQ(load(), 0U);
  EXPECT_NE(proven(), 0U);
}

TEST_P(GuardReopens, WhoLiesAboutItsAnswersIsHeldToTheLimit) {
  unsigned opened = 0;
  for (uint16_t i = 0; i < 200; i++) {
    const Packet one = syn(static_cast<uint16_t>(4000 + i));
    const auto said = world_->send(one);
    ASSERT_OK(said);
    if (*said == TFO_GUARD_OK) {
      opened++;
      ASSERT_TRUE(answers(one));
      ASSERT_TRUE(says(one, kAck, kData));
    }
    world_->advance(kSecond / 10);
    if (i >= 10) ASSERT_TRUE(answers(syn(static_cast<uint16_t>(4000 + i - 10))));
  }
  EXPECT_LE(opened, 8U + 11U) << "its limit, and what it opens in the second before it shows";
  EXPECT_GE(load(), 8U);
}

TEST_P(GuardReopens, ATrialThatWasNoneProvesNothing) {
  for (uint16_t i = 0; i < 8; i++) ASSERT_OK(world_->send(syn(static_cast<uint16_t>(5000 + i))));
  const Packet demoted = syn(4000);
  ASSERT_EQ(*world_->send(demoted), TFO_GUARD_OVER);
  ASSERT_OK(leave(*egress_, syn_ack(demoted, kIsn, 0)));
  ASSERT_TRUE(says(demoted, kAck, 0));
  EXPECT_NE(proven(), 0U);
  world_->advance(kSecond);
  ASSERT_OK(leave(*egress_, syn_ack(demoted, kIsn, 0)));
  EXPECT_EQ(proven(), 0U);
  EXPECT_EQ(load(), 8U) << "it was in no load";
}

TEST_P(GuardReopens, AnotherNumberIsNobodys) {
  const Packet one = syn(4000);
  ASSERT_OK(world_->send(one));
  ASSERT_TRUE(answers(one));
  ASSERT_TRUE(answers(one, kIsn + 7));
  ASSERT_TRUE(says(one, kAck, kData, kIsn + 8));
  EXPECT_EQ(load(), 1U) << "the first number stays";
  ASSERT_TRUE(says(one, kAck, kData));
  EXPECT_EQ(load(), 0U);
  ASSERT_TRUE(answers(one, kIsn + 7));
  EXPECT_EQ(load(), 0U);
}

TEST_P(GuardReopens, WhatIsBeyondTheServersWindowSettlesNothing) {
  const Packet one = syn(4000);
  ASSERT_OK(world_->send(one));
  ASSERT_TRUE(answers(one));
  ASSERT_TRUE(says(one, kAck, kData + 65536));
  EXPECT_EQ(load(), 1U);
  ASSERT_TRUE(says(one, kAck, kData + 65535));
  EXPECT_EQ(load(), 0U);
}

TEST_P(GuardReopens, ASynAckThatCameInWhereItLeavesIsNotBelieved) {
  const Packet one = syn(4000);
  ASSERT_OK(world_->send(one));
  const Bytes frame = syn_ack(one, kIsn, kData).frame();
  __sk_buff context{};
  context.ifindex = context.ingress_ifindex = 1;
  LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(),
              .data_size_in = static_cast<uint32_t>(frame.size()), .ctx_in = &context,
              .ctx_size_in = sizeof(context), .repeat = 1);
  ASSERT_EQ(bpf_prog_test_run_opts(bpf_program__fd((*egress_)->progs.tfo_egress), &opts), 0);
  ASSERT_TRUE(says(one, kAck, kData));
  EXPECT_EQ(load(), 1U);
  ASSERT_TRUE(answers(one));
  ASSERT_TRUE(says(one, kAck, kData));
  EXPECT_EQ(load(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Families, GuardReopens, testing::Values("10.0.0.1", "2001:db8:7::1"),
                         [](const auto& one) {
                           return std::string(one.index == 0 ? "IPv4" : "IPv6");
                         });

}  // namespace
}  // namespace tfo::test
