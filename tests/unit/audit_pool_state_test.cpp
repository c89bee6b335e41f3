// SPDX-License-Identifier: BSD-2-Clause
// What an audit says of the pool that servers are compared with.
#include <gtest/gtest.h>

#include "loader/audit/pool_state.h"

namespace tfo::audit {
namespace {

using nlohmann::json;

TEST(AuditPoolState, ServersChangeAroundTheEdgeOfAnInterval) {
  const DerivedPolicy policy{.interval = 60, .max_skew_ms = 1000};  // the margin is 7 s
  EXPECT_EQ(servers_change_for(policy, 6000), 7);
  EXPECT_EQ(servers_change_for(policy, 6006), 1);
  EXPECT_EQ(servers_change_for(policy, 6007), 0);
  EXPECT_EQ(servers_change_for(policy, 6030), 0) << "only backups change";
  EXPECT_EQ(servers_change_for(policy, 6052), 0);
  EXPECT_EQ(servers_change_for(policy, 6053), 14);
  EXPECT_EQ(servers_change_for(policy, 6059), 8);
  const DerivedPolicy busy{.interval = 10, .max_skew_ms = 0};
  for (int64_t now = 6000; now < 6010; ++now) EXPECT_EQ(servers_change_for(busy, now), 0);
}

TEST(AuditPoolState, OnlyDoubtsAboutThePoolsKeysAndWithWhatWasSeen) {
  const std::vector<Condition> raised = {{.id = "clock_unsure", .subject = "web", .evidence = "a"},
                                         {.id = "clock_unsure", .subject = "web2", .evidence = "b"},
                                         {.id = "key_drift", .subject = "web", .evidence = "c"},
                                         {.id = "no_key", .subject = "web", .evidence = "d"}};
  EXPECT_EQ(doubts_of("web", raised), json({{{"id", "clock_unsure"}, {"evidence", "a"}},
                                            {{"id", "no_key"}, {"evidence", "d"}}}));
  EXPECT_EQ(doubts_of("mail", raised), json::array());
}

TEST(AuditPoolState, FarmThatDisagreesIsADoubt) {
  const auto raised = [](const char* id) {
    return Condition{.id = id, .subject = "web", .evidence = "x"};
  };
  const json doubts = doubts_of("web", {raised("fork"), raised("not_member"), raised("straggler")});
  ASSERT_EQ(doubts.size(), 2U);
  EXPECT_EQ(doubts[0]["id"], "fork");
  EXPECT_EQ(doubts[1]["id"], "not_member");
}

}  // namespace
}  // namespace tfo::audit
