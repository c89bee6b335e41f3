// SPDX-License-Identifier: BSD-2-Clause
// What is renewed and what is left alone, through the core compiled for the host.
#include "tests/support/renew_cases.h"

#include <gtest/gtest.h>

#include "tests/support/host_core.h"

namespace tfo::test {
namespace {

class CoreRenews : public testing::TestWithParam<RenewTable> {};

TEST_P(CoreRenews, WhatTheTableSays) {
  for (const RenewCase& c : GetParam().make()) {
    World world = renew_world();
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

INSTANTIATE_TEST_SUITE_P(Tables, CoreRenews, testing::ValuesIn(kRenewTables),
                         [](const auto& table) { return std::string(table.param.name); });

}  // namespace
}  // namespace tfo::test
