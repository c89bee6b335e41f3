// SPDX-License-Identifier: BSD-2-Clause
// The case tables through the loaded program.
#include <gtest/gtest.h>

#include "tests/support/cases.h"
#include "tests/support/golden_cookies.h"
#include "tests/support/xdp_world.h"

namespace tfo::test {
namespace {

class ProgramCases : public testing::TestWithParam<CaseTable> {};

TEST_P(ProgramCases, ProgramSaysWhatTheTableSays) {
  XdpWorlds worlds(case_world());
  for (const Case& c : GetParam().make()) {
    const Bytes frame = c.packet.frame();
    const auto xdp = worlds.with(!c.packet.link.present, c.decap);
    ASSERT_TRUE(xdp) << xdp.error().message;
    const auto got = (*xdp)->treat(frame);
    ASSERT_TRUE(got) << got.error().message << '\n' << case_text(c);
    EXPECT_EQ(to_string(comparable(got->verdict)), to_string(c.want)) << case_text(c);
    // No VIP of theirs asks for anything; a revoked cookie is demoted unasked.
    const bool revoked = c.want.reason == TFO_COOKIE_REVOKED;
    EXPECT_EQ(got->would, uint32_t{revoked ? TFO_DEMOTE : TFO_PASS}) << case_text(c);
    EXPECT_EQ(to_hex(got->left), to_hex(frame)) << case_text(c);
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, ProgramCases, testing::ValuesIn(kCaseTables),
                         [](const auto& table) { return std::string(table.param.name); });

/// A cookie of the live kernel, under a ring whose only key made it.
TEST(ProgramCookies, OfTheLiveKernel) {
  for (const GoldenCookie& golden : kGoldenCookies) {
    World world;
    world.vips = {{Address::of(golden.destination), 443, 1, 0}};
    world.pools[0] = {{golden.key, TFO_PLACE_CURRENT}};
    auto xdp = load_world(world);
    ASSERT_TRUE(xdp) << xdp.error().message;
    Packet syn = Packet::syn(golden.source, golden.destination);
    const auto got = xdp->run(syn.option(fast_open(from_hex(golden.cookie))).frame());
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(to_string(*got), to_string(vip(TFO_COOKIE_CURRENT, TFO_OPTION_34))) << golden.cookie;
  }
}

}  // namespace
}  // namespace tfo::test
