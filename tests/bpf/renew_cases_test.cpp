// SPDX-License-Identifier: BSD-2-Clause
// What is renewed and what is left alone, through the loaded program.
#include "tests/support/renew_cases.h"

#include <gtest/gtest.h>

#include "tests/support/policy_cases.h"
#include "tests/support/xdp_world.h"

namespace tfo::test {
namespace {

void expect_treated(const World& world, const RenewCases& cases) {
  XdpWorlds worlds(world);
  for (const RenewCase& c : cases) {
    const auto xdp = worlds.with(!c.packet.link.present, c.decap, c.partial);
    ASSERT_TRUE(xdp) << xdp.error().message;
    const auto got = (*xdp)->treat(c.packet.frame());
    ASSERT_TRUE(got) << got.error().message << '\n' << case_text(c);
    EXPECT_EQ(renew_text(got->verdict.reason, got->would, got->action),
              renew_text(c.reason, c.would, c.verdict))
        << case_text(c);
    EXPECT_EQ(to_hex(got->left), to_hex(c.left.frame())) << case_text(c);
  }
}

class ProgramRenews : public testing::TestWithParam<RenewTable> {};

TEST_P(ProgramRenews, WhatTheTableSays) { expect_treated(renew_world(), GetParam().make()); }

class ProgramKeepsPolicy : public testing::TestWithParam<RenewTable> {};

TEST_P(ProgramKeepsPolicy, WhatTheTableSays) { expect_treated(policy_world(), GetParam().make()); }

INSTANTIATE_TEST_SUITE_P(Tables, ProgramKeepsPolicy, testing::ValuesIn(kPolicyTables),
                         [](const auto& table) { return std::string(table.param.name); });

INSTANTIATE_TEST_SUITE_P(Tables, ProgramRenews, testing::ValuesIn(kRenewTables),
                         [](const auto& table) { return std::string(table.param.name); });

/// The part of the frame behind the headers may lie in fragments.
TEST(ProgramRenewsJumbo, FrameInSeveralPieces) {
  auto xdp = load_world(renew_world());
  ASSERT_TRUE(xdp) << xdp.error().message;
  for (const Side& side : kSides) {
    const auto build = [&](const char* key) {
      Packet packet = web_syn(side);
      return packet.option(fast_open(cookie_of(key, packet))).data(4000).frame();
    };
    const auto got = xdp->treat(build(kRetiredKey), 512);
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(got->action, uint32_t{TFO_RENEW});
    EXPECT_EQ(to_hex(got->left), to_hex(build(kPreviousKey)));
  }
}

}  // namespace
}  // namespace tfo::test
