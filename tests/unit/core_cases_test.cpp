// SPDX-License-Identifier: BSD-2-Clause
// The case tables through the core compiled for the host, and through the reference.
#include <gtest/gtest.h>

#include <set>

#include "tests/support/cases.h"
#include "tests/support/host_core.h"

namespace tfo::test {
namespace {

class CoreCases : public testing::TestWithParam<CaseTable> {};

World world_of(const Case& c) {
  World world = case_world();
  world.l3 = !c.packet.link.present;
  world.decap = c.decap;
  return world;
}

TEST_P(CoreCases, HostCoreSaysWhatTheTableSays) {
  for (const Case& c : GetParam().make()) {
    const Verdict got = comparable(HostCore(world_of(c)).classify(c.packet.frame()));
    EXPECT_EQ(to_string(got), to_string(c.want)) << case_text(c);
  }
}

TEST_P(CoreCases, ReferenceSaysWhatTheTableSays) {
  for (const Case& c : GetParam().make()) {
    const Verdict got = reference_verdict(c.packet.frame(), world_of(c));
    EXPECT_EQ(to_string(got), to_string(c.want)) << case_text(c);
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, CoreCases, testing::ValuesIn(kCaseTables),
                         [](const auto& table) { return std::string(table.param.name); });

TEST(CoreCases, TablesHoldEveryReason) {
  std::set<tfo_reason> seen{TFO_INTERNAL_ERROR};  // never a packet's own doing
  for (const CaseTable& table : kCaseTables) {
    for (const Case& c : table.make()) seen.insert(c.want.reason);
  }
  EXPECT_EQ(seen.size(), size_t{TFO_REASON_COUNT});
}

}  // namespace
}  // namespace tfo::test
