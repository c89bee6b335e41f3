// SPDX-License-Identifier: BSD-2-Clause
// What is renewed and what is left alone, through the core compiled for the host.
#include "tests/support/renew_cases.h"

#include <gtest/gtest.h>

#include "tests/support/host_core.h"
#include "tests/support/policy_cases.h"

namespace tfo::test {
namespace {

void expect_treated(World world, const RenewCases& cases) {
  for (const RenewCase& c : cases) {
    world.l3 = !c.packet.link.present;
    world.decap = c.decap;
    world.partial = c.partial;
    const Treatment got = HostCore(world).act(c.packet.frame());
    EXPECT_EQ(renew_text(got.verdict.reason, got.would, got.action),
              renew_text(c.reason, c.would, c.verdict))
        << case_text(c);
    EXPECT_EQ(to_hex(got.left), to_hex(c.left.frame())) << case_text(c);
  }
}

class CoreRenews : public testing::TestWithParam<RenewTable> {};

TEST_P(CoreRenews, WhatTheTableSays) { expect_treated(renew_world(), GetParam().make()); }

class CoreKeepsPolicy : public testing::TestWithParam<RenewTable> {};

TEST_P(CoreKeepsPolicy, WhatTheTableSays) { expect_treated(policy_world(), GetParam().make()); }

INSTANTIATE_TEST_SUITE_P(Tables, CoreKeepsPolicy, testing::ValuesIn(kPolicyTables),
                         [](const auto& table) { return std::string(table.param.name); });

INSTANTIATE_TEST_SUITE_P(Tables, CoreRenews, testing::ValuesIn(kRenewTables),
                         [](const auto& table) { return std::string(table.param.name); });

}  // namespace
}  // namespace tfo::test
