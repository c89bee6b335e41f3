// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/unit/key_pool_world.h"

namespace tfo::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

/// Whether anything mints what something else refuses is checked after every single write.
class KeyPoolCrash : public KeyPoolTest {
 protected:
  using Action = std::function<Result<>(KeyPool&)>;

  /// Kills the process before or after its nth write for every n, restarts it, and looks whether
  /// the rotation is finished and nobody was ever refused. Returns how many writes there were.
  int kill_everywhere(const RotationPolicy& policy, const Action& action) {
    for (int n = 0;; ++n) {
      bool killed = false;
      for (const bool after : {false, true}) {
        reset_world();
        killed = kill_at(policy, action, n, after);
        if (HasFailure()) {
          ADD_FAILURE() << "killed " << (after ? "after" : "before") << " write " << n;
          return n;
        }
      }
      if (!killed) {
        return n;
      }
    }
  }

 private:
  bool kill_at(const RotationPolicy& policy, const Action& action, int n, bool after) {
    auto pool = make_pool(policy);
    EXPECT_TRUE(pool->start());
    EXPECT_TRUE(pool->rotate());
    bool killed = false;
    world_.effects_left = n;
    world_.half_done = after;
    try {
      EXPECT_TRUE(action(*pool));
    } catch (const Killed&) {
      killed = true;
    }
    world_.effects_left = -1;
    pool.reset();
    clock_.pass(3);
    pool = make_pool(policy);
    EXPECT_TRUE(pool->start());
    EXPECT_EQ(pool->ring().phase, Phase::steady);
    EXPECT_THAT(pool->status().missing, IsEmpty());
    EXPECT_TRUE(pool->rotate()) << "and rotation goes on";
    EXPECT_EQ(world_.broken, "");
    return killed;
  }
};

TEST_F(KeyPoolCrash, RotationContinuesFromEveryPoint) {
  EXPECT_GE(kill_everywhere(kPolicy, [](KeyPool& pool) { return pool.rotate(); }), 12);
}

TEST_F(KeyPoolCrash, ImportContinuesFromEveryPoint) {
  const std::vector<Key> keys = {Key::random(), Key::random(), Key::random()};
  EXPECT_GE(kill_everywhere(kByHand, [&](KeyPool& pool) { return pool.import(keys); }), 12);
}

TEST_F(KeyPoolCrash, EveryPatternOfFailuresIsSafe) {
  // Each sink may fail from its nth write on for a while: 3^4 patterns of "fails at once, fails at
  // its second write, works", mended one after the other with a restart between.
  for (int pattern = 0; pattern < 81; ++pattern) {
    reset_world();
    auto pool = make_pool();
    ASSERT_TRUE(pool->start());
    ASSERT_TRUE(pool->rotate());
    int rest = pattern;
    for (auto& [name, device] : world_.devices) {
      const int works_for = rest % 3;
      rest /= 3;
      const int limit = device.writes + works_for;
      if (works_for < 2) {
        device.fails = [&target = device, limit] {
          return target.writes >= limit ? std::string("refuses") : std::string();
        };
      }
    }
    const bool done = pool->rotate().has_value();
    EXPECT_EQ(done, pattern == 80) << pattern;
    for (auto& [name, device] : world_.devices) {
      device.fails = [] { return std::string(); };
      pool.reset();
      pool = make_pool();
      ASSERT_TRUE(pool->start());
    }
    EXPECT_EQ(pool->ring().phase, Phase::steady);
    EXPECT_EQ(world_.broken, "") << pattern;
  }
}

TEST_F(KeyPoolCrash, TheCheckWouldNoticeAOnePhaseRotation) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  world_.devices["a"].accepts = {Key::random(), world_.devices["a"].accepts.front()};
  world_.check();
  EXPECT_THAT(world_.broken, HasSubstr("a mints what"));
}

}  // namespace
}  // namespace tfo::test
