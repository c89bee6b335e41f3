// SPDX-License-Identifier: BSD-2-Clause
// Agents of one farm on a real etcd of three members: joining, rotating, asking, leaving.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/rotation_farm.h"

namespace tfo::test {
namespace {

using rotation::State;
using testing::ElementsAre;
using testing::HasSubstr;

class RotationAgent : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(cluster_.wait_healthy()) << cluster_.logs(); }

  EtcdCluster cluster_;
  RotationFarm farm_{cluster_};
};

TEST_F(RotationAgent, FarmRotatesOnRequestThroughAllStates) {
  ASSERT_EQ(farm_.init(), "");
  for (const char* name : {"s1", "s2"}) ASSERT_NE(farm_.add(name), nullptr) << farm_.error();
  ASSERT_NE(farm_.add("b1", {.balancer = true}), nullptr) << farm_.error();
  ASSERT_TRUE(farm_.settled()) << farm_.text();
  const auto before = farm_.node("s1").document();
  ASSERT_EQ(farm_.rotate(farm_.node("s2")), "");
  const auto& after = farm_.node("b1").document();
  EXPECT_EQ(after.other, before.current);
  EXPECT_NE(after.current, before.current);
  EXPECT_THAT(farm_.node("b1").states,
              ElementsAre(State::kSteady, State::kPrepare, State::kStaged, State::kMinting,
                          State::kSteady));
}

}  // namespace
}  // namespace tfo::test
