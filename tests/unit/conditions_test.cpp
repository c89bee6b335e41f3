// SPDX-License-Identifier: BSD-2-Clause
#include "loader/observe/conditions.h"

#include <gtest/gtest.h>

#include <set>

namespace tfo {
namespace {

struct World {
  int64_t now = 1000;
  std::vector<std::string> told;
  Conditions conditions{
      [this] { return now; },
      [this](const Condition& condition, bool raised) {
        told.push_back((raised ? "+" : "-") + condition.id + "/" + condition.subject);
      }};
};

TEST(Conditions, AreToldOnceAndKeepTheirBeginning) {
  World world;
  world.conditions.raise("interface_gone", "eth0", "first");
  world.now = 1060;
  world.conditions.raise("interface_gone", "eth0", "second");
  ASSERT_EQ(world.conditions.list().size(), 1u);
  EXPECT_EQ(world.conditions.list()[0].since, 1000);
  EXPECT_EQ(world.conditions.list()[0].evidence, "second");
  EXPECT_EQ(world.conditions.list()[0].severity, Severity::kCritical);
  world.conditions.clear("interface_gone", "eth0");
  world.conditions.clear("interface_gone", "eth0");
  EXPECT_EQ(world.told, (std::vector<std::string>{"+interface_gone/eth0", "-interface_gone/eth0"}));
  EXPECT_FALSE(world.conditions.active("interface_gone"));
}

TEST(Conditions, SubjectsAreApart) {
  World world;
  world.conditions.set("key_drift", "web/a", true, "x");
  world.conditions.set("key_drift", "web/b", true, "y");
  world.conditions.set("key_drift", "web/a", false, "");
  EXPECT_TRUE(world.conditions.active("key_drift"));
  world.conditions.clear_all("key_drift");
  EXPECT_FALSE(world.conditions.active("key_drift"));
  EXPECT_TRUE(world.conditions.list().empty());
}

TEST(Conditions, ARaiseAfterAClearBeginsAnew) {
  World world;
  world.conditions.raise("no_key", "web", "x");
  world.conditions.clear("no_key", "web");
  world.now = 2000;
  world.conditions.raise("no_key", "web", "x");
  EXPECT_EQ(world.conditions.list()[0].since, 2000);
}

TEST(Conditions, IdsAreUniqueMetricLabels) {
  std::set<std::string_view> ids;
  for (const ConditionKind& kind : condition_kinds()) {
    EXPECT_TRUE(ids.insert(kind.id).second) << kind.id;
    EXPECT_EQ(kind.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos);
    EXPECT_FALSE(kind.sentence.empty());
  }
}

}  // namespace
}  // namespace tfo
