// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

#include "loader/guard/history.h"

namespace tfo {
namespace {

GuardChange change(const std::string& event, uint8_t host, int64_t at = 0) {
  ClientNetwork network;
  network.address[10] = network.address[11] = 0xff;
  network.address[12] = 10;
  network.address[15] = host;
  return {.at = at, .event = event, .network = network, .vip = "web", .level = "address"};
}

TEST(GuardHistory, TellsNewestFirstAndForgetsTheOldest) {
  GuardHistory history;
  for (size_t i = 0; i < GuardHistory::kMost + 10; ++i) {
    EXPECT_TRUE(history.add(change("entered", static_cast<uint8_t>(i), static_cast<int64_t>(i))));
  }
  ASSERT_EQ(history.changes().size(), GuardHistory::kMost);
  EXPECT_EQ(history.changes().front().at, static_cast<int64_t>(GuardHistory::kMost + 9));
  EXPECT_EQ(history.changes().back().at, 10);
}

TEST(GuardHistory, WhoFellSilentLeavesOnce) {
  GuardHistory history;
  history.add(change("entered", 1));
  history.add(change("entered", 2));
  const auto left = history.settle({change("entered", 2)}, 50);
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].network, change("", 1).network);
  EXPECT_EQ(left[0].at, 50);
  EXPECT_TRUE(history.settle({change("entered", 2)}, 55).empty()) << "told already";
  EXPECT_FALSE(history.add(change("left", 1))) << "the program says it with its next packet";
  EXPECT_TRUE(history.add(change("entered", 1)));
  EXPECT_TRUE(history.add(change("left", 1))) << "and this is another one";
}

TEST(GuardHistory, AnOperatorsWordIsKept) {
  GuardHistory history;
  GuardChange denied = change("denied", 1);
  denied.vip = denied.level = "";
  EXPECT_TRUE(history.add(denied));
  EXPECT_TRUE(history.settle({}, 60).empty());
  EXPECT_EQ(history.changes().size(), 1U);
}

TEST(GuardHistory, AFloodOfNetworksTakesNoMoreThanItsPlace) {
  GuardHistory history;
  for (uint32_t i = 0; i < 3 * GuardHistory::kMostOpen; ++i) {
    GuardChange one = change("entered", 0);
    one.network.address[13] = static_cast<uint8_t>(i >> 8);
    one.network.address[14] = static_cast<uint8_t>(i);
    history.add(one);
  }
  EXPECT_EQ(history.settle({}, 1).size(), GuardHistory::kMostOpen);
}

}  // namespace
}  // namespace tfo
