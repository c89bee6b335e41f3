// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/derived_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace tfo {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr DerivedPolicy kPolicy{
    .interval = 100, .max_skew_ms = 5000, .accept_generations = 2, .not_after = 300};

const DerivedSecret& secret() {
  static const DerivedSecret kSecret = *DerivedSecret::parse(std::string(32, 's'));
  return kSecret;
}

KeyRing ring_at(int64_t time, const DerivedPolicy& policy = kPolicy) {
  return *derived_ring(secret(), policy, DerivedHalf::at(policy.interval, time));
}

/// "current 10, previous 9, ...": the interval of each generation, by its key.
std::vector<std::string> described(const KeyRing& ring, int64_t interval = 100) {
  std::vector<std::string> all;
  for (const Generation& one : ring.generations) {
    const int64_t index = one.created_at / interval;
    EXPECT_EQ(one.key, *secret().key(static_cast<uint64_t>(index)));
    EXPECT_EQ(one.id, derived_id(one.key));
    all.push_back(std::string(to_string(one.place)) + " " + std::to_string(index));
  }
  return all;
}

TEST(DerivedPolicy, RangesAreChecked) {
  EXPECT_TRUE(kPolicy.check());
  EXPECT_TRUE(DerivedPolicy{}.check());
  const auto refuses = [](auto change, const char* word) {
    DerivedPolicy policy = kPolicy;
    change(policy);
    const auto checked = policy.check();
    EXPECT_FALSE(checked);
    EXPECT_THAT(checked ? "" : checked.error().message, HasSubstr(word));
  };
  refuses([](DerivedPolicy& p) { p.interval = 101; }, "even");
  refuses([](DerivedPolicy& p) { p.max_skew_ms = -1; }, "max_skew");
  refuses([](DerivedPolicy& p) { p.max_skew_ms = 3'600'001; }, "max_skew");
  refuses([](DerivedPolicy& p) { p.accept_generations = 14; }, "accept_generations");
  refuses([](DerivedPolicy& p) { p.not_after = 99; }, "not_after");
  refuses([](DerivedPolicy& p) { p.not_after = 604'801; }, "not_after");
}

TEST(DerivedPolicy, RenewalNeedsAQuarterOfTheInterval) {
  const auto policy = [](int64_t interval, int64_t skew) {
    return DerivedPolicy{.interval = interval, .max_skew_ms = skew};
  };
  EXPECT_EQ(policy(100, 0).margin(), 5);
  EXPECT_EQ(policy(100, 250).margin(), 6);
  EXPECT_EQ(policy(100, 5000).margin(), 15);
  EXPECT_TRUE(policy(60, 5000).can_renew());
  EXPECT_TRUE(policy(20, 0).can_renew());
  EXPECT_THAT(policy(58, 5000).can_renew().error().message,
              HasSubstr("a max_skew of at most 4500 ms, or an interval of at least 60 s"));
  EXPECT_TRUE(policy(58, 4500).can_renew());
  EXPECT_THAT(policy(18, 0).can_renew().error().message,
              HasSubstr("give an interval of at least 20 s"));
}

TEST(DerivedRing, FirstHalfHasThePreviousKeyInTheSlots) {
  const KeyRing ring = ring_at(1002);
  EXPECT_THAT(described(ring),
              ElementsAre("current 10", "previous 9", "staged 11", "retired 8", "retired 7"));
  EXPECT_EQ(ring.phase, Phase::prepare);
  EXPECT_EQ(ring.sysctl_value().view(), derived_text(secret(), 100, 1002)->view());
  EXPECT_TRUE(ring.check());
}

TEST(DerivedRing, SecondHalfHasTheNextKeyInTheSlots) {
  const KeyRing ring = ring_at(1052);
  EXPECT_THAT(described(ring),
              ElementsAre("current 10", "staged 11", "retired 9", "retired 8", "retired 7"));
  EXPECT_EQ(ring.phase, Phase::staged);
  EXPECT_EQ(ring.sysctl_value().view(), derived_text(secret(), 100, 1052)->view());
  EXPECT_TRUE(ring.check());
}

TEST(DerivedRing, ChangesTwoSecondsAfterEdgeAndMiddle) {
  EXPECT_EQ(described(ring_at(1001)), described(ring_at(960)));
  EXPECT_EQ(described(ring_at(1051)), described(ring_at(1002)));
  EXPECT_EQ(DerivedHalf::at(100, 1001).ends(100), 1002);
  EXPECT_EQ(DerivedHalf::at(100, 1002).ends(100), 1052);
  EXPECT_EQ(DerivedHalf::at(100, 1052).ends(100), 1102);
}

TEST(DerivedRing, HoldsAtMostSixteenAndNeverLacksOne) {
  for (unsigned accept = 0; accept <= 13; ++accept) {
    DerivedPolicy policy = kPolicy;
    policy.accept_generations = accept;
    for (const int64_t time : {10'002, 10'052}) {
      const KeyRing ring = ring_at(time, policy);
      EXPECT_EQ(ring.generations.size(), 3 + accept);
      EXPECT_TRUE(ring.check());
    }
  }
  EXPECT_THAT(described(ring_at(0)), ElementsAre("current 0", "staged 1"));
}

TEST(DerivedRing, RetiredOnesAreAcceptedAsLongAsAskedHoweverShortNotAfterIs) {
  DerivedPolicy policy = kPolicy;
  policy.accept_generations = 10;
  policy.not_after = 100;
  for (int64_t time = 2002; time < 2202; ++time) {
    for (const Generation& one : ring_at(time, policy).generations) {
      EXPECT_GT(one.not_after, DerivedHalf::at(100, time).ends(100) - 1) << time;
    }
  }
}

TEST(DerivedRing, WithNobodyThereEveryGenerationEnds) {
  for (const Generation& one : ring_at(1002).generations) {
    const int64_t index = one.created_at / 100;
    // What the rotation would have dropped by then goes at that moment, the rest with the ring.
    EXPECT_EQ(one.not_after, std::min<int64_t>(1000 + 300, (index + 4) * 100 + 2)) << index;
  }
}

TEST(DerivedRing, IsTheSameOnEveryNode) {
  const KeyRing here = ring_at(1002), there = ring_at(1040);
  ASSERT_EQ(here.generations.size(), there.generations.size());
  std::set<uint64_t> ids;
  for (size_t i = 0; i < here.generations.size(); ++i) {
    EXPECT_EQ(here.generations[i].id, there.generations[i].id);
    EXPECT_NE(here.generations[i].id, 0U);
    ids.insert(here.generations[i].id);
  }
  EXPECT_EQ(ids.size(), here.generations.size());
}

TEST(DerivedRing, MissingKeysAreLeftOutAndAMissingCurrentOneIsAnError) {
  const auto late = *DerivedSecret::parse("10 " + std::string(64, 'b'));
  EXPECT_EQ(derived_ring(late, kPolicy, DerivedHalf::at(100, 1002))->generations.size(), 2U);
  const auto none = derived_ring(late, kPolicy, DerivedHalf::at(100, 1001));
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("index is 9"));
}

TEST(DerivedRenewal, FollowsTheMiddles) {
  // m is 15: targets change at 35 past, the next key is held from 65 past.
  const auto names = [](int64_t time) {
    std::vector<int64_t> all;
    const Renewal renewal = derived_renewal(secret(), kPolicy, time);
    for (const uint64_t id : renewal.held) {
      for (uint64_t index = 0; index < 20; ++index) {
        if (derived_id(*secret().key(index)) == id) all.push_back(static_cast<int64_t>(index));
      }
    }
    EXPECT_EQ(renewal.target, renewal.held.front());
    all.push_back(renewal.until);
    return all;
  };
  EXPECT_THAT(names(1034), ElementsAre(9, 10, 1035));
  EXPECT_THAT(names(1035), ElementsAre(10, 1135));
  EXPECT_THAT(names(1064), ElementsAre(10, 1135));
  EXPECT_THAT(names(1065), ElementsAre(10, 11, 1135));
  EXPECT_THAT(names(1134), ElementsAre(10, 11, 1135));
  EXPECT_THAT(names(1135), ElementsAre(11, 1235));
}

TEST(DerivedRenewal, NoneWhereTheMarginIsTooLarge) {
  EXPECT_EQ(derived_renewal(secret(), {.interval = 58}, 100'000).target, 0U);
  EXPECT_EQ(derived_renewal(secret(), kPolicy, 0).target, 0U);
}

/// The keys in the slots of a server whose clock shows `time` and that acts `delay_ms` late.
std::set<uint64_t> slots_of(const DerivedPolicy& policy, int64_t time_ms, int64_t delay_ms) {
  const auto slots = derived_slots(policy.interval, (time_ms - delay_ms) / 1000);
  return {derived_id(*secret().key(slots.primary)), derived_id(*secret().key(slots.backup))};
}

TEST(DerivedRenewal, WhatIsHeldIsHeldByEveryServerWhateverTheClocks) {
  for (const DerivedPolicy& policy :
       {kPolicy,
        DerivedPolicy{.interval = 20, .max_skew_ms = 0, .accept_generations = 2, .not_after = 60},
        DerivedPolicy{
            .interval = 600, .max_skew_ms = 60'000, .accept_generations = 2, .not_after = 900}}) {
    const int64_t start = 10 * policy.interval;
    for (int64_t ours = start; ours < start + 2 * policy.interval; ++ours) {
      const Renewal renewal = derived_renewal(secret(), policy, ours);
      ASSERT_NE(renewal.target, 0U);
      // Our ring and a dead daemon's: known until `until`.
      for (int64_t now = ours; now < renewal.until; now += 7) {
        for (const int64_t pair_ms :
             {-2 * policy.max_skew_ms, int64_t{0}, 2 * policy.max_skew_ms}) {
          for (const int64_t late_ms : {int64_t{0}, int64_t{2020}, int64_t{4000}}) {
            const auto slots = slots_of(policy, now * 1000 + pair_ms, late_ms);
            for (const uint64_t id : renewal.held) {
              ASSERT_TRUE(slots.contains(id)) << policy.interval << " " << ours << " " << now;
            }
          }
        }
      }
    }
  }
}

TEST(DerivedMoments, EveryChangeOfRingOrRenewalIsAMoment) {
  for (const DerivedPolicy& policy :
       {kPolicy, DerivedPolicy{.interval = 10, .not_after = 30}, DerivedPolicy{.interval = 58},
        DerivedPolicy{.interval = 60}}) {
    const auto picture = [&](int64_t time) {
      auto text = described(ring_at(time, policy), policy.interval);
      const Renewal renewal = derived_renewal(secret(), policy, time);
      for (const uint64_t id : renewal.held) text.push_back(std::to_string(id));
      text.push_back(std::to_string(renewal.until));
      return text;
    };
    const int64_t start = 50 * policy.interval;
    int64_t next = next_derived_moment(policy, start);
    for (int64_t time = start + 1; time < start + 3 * policy.interval; ++time) {
      EXPECT_EQ(picture(time) != picture(time - 1) && time != next, false)
          << policy.interval << " " << time;
      if (time == next) next = next_derived_moment(policy, time);
      EXPECT_GT(next, time);
    }
  }
}

}  // namespace
}  // namespace tfo
