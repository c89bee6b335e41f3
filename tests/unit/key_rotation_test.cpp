// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "loader/keys/rotation.h"

namespace tfo::key_rotation_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kStart = 1'790'000'000;
constexpr int64_t kInterval = 1000;
constexpr RotationPolicy kPolicy{
    .interval = kInterval, .accept_generations = 4, .not_after = 3 * kInterval};
constexpr RotationPolicy kByHand{.interval = 0, .accept_generations = 4, .not_after = 0};

Moment at(int64_t seconds, const std::string& boot = "boot") {
  return {.unix_s = kStart + seconds, .boot_s = 500 + seconds, .boot_id = boot};
}

std::vector<std::string> places(const KeyRing& ring) {
  std::vector<std::string> names;
  names.reserve(ring.generations.size());
  for (const Generation& generation : ring.generations) {
    names.emplace_back(to_string(generation.place));
  }
  return names;
}

std::vector<uint64_t> ids(const KeyRing& ring) {
  std::vector<uint64_t> all;
  all.reserve(ring.generations.size());
  for (const Generation& generation : ring.generations) {
    all.push_back(generation.id);
  }
  return all;
}

/// Advances until nothing more happens, everything confirmed; counts the phases begun.
int settle(const Rotation& rotation, RotationState& state, const Moment& now) {
  int steps = 0;
  rotation.maintain(state, now);
  while (auto next = rotation.advance(state, now, true)) {
    EXPECT_GT(next->ring.revision, state.ring.revision);
    EXPECT_TRUE(next->ring.check());
    state = *next;
    ++steps;
  }
  return steps;
}

TEST(RotationPolicy, RangesAreChecked) {
  EXPECT_EQ(RotationPolicy::default_not_after(86400), 3 * 86400);
  EXPECT_EQ(RotationPolicy::default_not_after(7 * 86400), 7 * 86400);
  EXPECT_EQ(RotationPolicy::default_not_after(INT64_MAX), 7 * 86400);
  EXPECT_EQ(RotationPolicy::default_not_after(0), 0);
  EXPECT_TRUE(RotationPolicy().check());
  EXPECT_TRUE(kByHand.check());
  const auto wrong = [](RotationPolicy policy) { return policy.check().error().message; };
  EXPECT_THAT(wrong({.interval = 60, .accept_generations = 14, .not_after = 180}),
              HasSubstr("accept_generations"));
  EXPECT_THAT(wrong({.interval = 60, .accept_generations = 4, .not_after = 8 * 86400}),
              HasSubstr("not_after"));
  EXPECT_THAT(wrong({.interval = 60, .accept_generations = 4, .not_after = 0}),
              HasSubstr("not_after"));
  EXPECT_THAT(wrong({.interval = 0, .accept_generations = 4, .not_after = 60}),
              HasSubstr("not_after"));
  EXPECT_THAT(wrong({.interval = -1, .accept_generations = 4, .not_after = 60}),
              HasSubstr("interval"));
}

TEST(Rotation, FirstRingIsOneRandomKey) {
  const Rotation rotation(kPolicy);
  const auto state = rotation.first(at(0), {});
  ASSERT_TRUE(state);
  EXPECT_THAT(places(state->ring), ElementsAre("current"));
  EXPECT_EQ(state->ring.current()->created_at, kStart);
  EXPECT_EQ(state->ring.current()->not_after, kStart + 3 * kInterval);
  EXPECT_EQ(rotation.next_rotation(*state), kStart + kInterval);
  EXPECT_FALSE(rotation.first(at(0), {Key()}));
}

TEST(Rotation, GoesThroughStagedAndMinting) {
  const Rotation rotation(kPolicy);
  RotationState state = *rotation.first(at(0), {Key::random(), Key::random()});
  const auto before = ids(state.ring);
  EXPECT_FALSE(rotation.advance(state, at(kInterval - 1), true)) << "not due yet";
  EXPECT_FALSE(rotation.advance(state, at(kInterval), false)) << "not in force yet";

  auto staged = rotation.advance(state, at(kInterval), true);
  ASSERT_TRUE(staged);
  EXPECT_EQ(staged->ring.phase, Phase::staged);
  EXPECT_THAT(places(staged->ring), ElementsAre("current", "staged", "retired"));
  EXPECT_EQ(staged->ring.current()->id, before[0]);
  EXPECT_EQ(staged->ring.generations[2].id, before[1]) << "the old previous is still accepted";
  const uint64_t fresh = staged->ring.staged()->id;
  EXPECT_FALSE(rotation.advance(*staged, at(9 * kInterval), false)) << "waits for every sink";

  auto minting = rotation.advance(*staged, at(kInterval), true);
  ASSERT_TRUE(minting);
  EXPECT_EQ(minting->ring.phase, Phase::minting);
  EXPECT_THAT(places(minting->ring), ElementsAre("current", "previous", "retired"));
  EXPECT_THAT(ids(minting->ring), ElementsAre(fresh, before[0], before[1]));
  EXPECT_FALSE(rotation.advance(*minting, at(9 * kInterval), false));

  auto steady = rotation.advance(*minting, at(kInterval + 7), true);
  ASSERT_TRUE(steady);
  EXPECT_EQ(steady->ring.phase, Phase::steady);
  EXPECT_EQ(ids(steady->ring), ids(minting->ring));
  EXPECT_EQ(rotation.next_rotation(*steady), kStart + 2 * kInterval + 7);
}

TEST(Rotation, KeepsAcceptGenerationsNewestFirst) {
  for (const unsigned accept : {0U, 2U, 13U}) {
    const Rotation rotation({.interval = 0, .accept_generations = accept, .not_after = 0});
    RotationState state = *rotation.first(at(0), {});
    std::vector<uint64_t> minted = {state.ring.current()->id};
    for (int i = 1; i <= 20; ++i) {
      state = *rotation.rotate(state, at(i));
      ASSERT_TRUE(state.ring.check()) << "the rotation itself must fit beside the retired ones";
      settle(rotation, state, at(i));
      minted.insert(minted.begin(), state.ring.current()->id);
    }
    minted.resize(2 + accept);
    EXPECT_EQ(ids(state.ring), minted) << accept;
    EXPECT_FALSE(rotation.next_wakeup(state));
  }
}

TEST(Rotation, ByCommandOnlyNeverExpiresAndNeverRotates) {
  const Rotation rotation(kByHand);
  RotationState state = *rotation.first(at(0), {Key::random(), Key::random()});
  const auto before = ids(state.ring);
  EXPECT_EQ(settle(rotation, state, at(400LL * 86400)), 0);
  EXPECT_EQ(ids(state.ring), before);
}

TEST(Rotation, CommandIsRefusedWhileOneIsUnderWay) {
  const Rotation rotation(kPolicy);
  RotationState state = *rotation.first(at(0), {});
  state = *rotation.rotate(state, at(1));
  EXPECT_THAT(rotation.rotate(state, at(2)).error().message, HasSubstr("under way"));
  state = *rotation.advance(state, at(2), true);
  EXPECT_FALSE(rotation.rotate(state, at(2)));
  state = *rotation.advance(state, at(2), true);
  EXPECT_TRUE(rotation.rotate(state, at(2)));
}

TEST(Rotation, RetiredGenerationsLeaveAtNotAfter) {
  const Rotation rotation(kPolicy);
  RotationState state = *rotation.first(at(0), {});
  const uint64_t oldest = state.ring.current()->id;
  settle(rotation, state, at(kInterval));
  settle(rotation, state, at(2 * kInterval));
  ASSERT_EQ(state.ring.find(oldest)->place, TFO_PLACE_RETIRED);
  EXPECT_FALSE(rotation.maintain(state, at(3 * kInterval - 1)));
  EXPECT_TRUE(rotation.maintain(state, at(3 * kInterval)));
  EXPECT_EQ(state.ring.find(oldest), nullptr);
}

TEST(Rotation, HeldRotationExtendsWhatTheServersHold) {
  const Rotation rotation(kPolicy);
  RotationState state = *rotation.first(at(0), {Key::random(), Key::random()});
  state = *rotation.advance(state, at(kInterval), true);
  const uint64_t current = state.ring.current()->id;
  const uint64_t staged = state.ring.staged()->id;
  for (int64_t t = kInterval; t < 20 * kInterval; t += kInterval / 10) {
    rotation.maintain(state, at(t));
    ASSERT_GT(state.ring.find(current)->not_after, at(t).unix_s);
    ASSERT_GT(state.ring.find(staged)->not_after, at(t).unix_s);
  }
  EXPECT_THAT(places(state.ring), ElementsAre("current", "staged")) << "the retired one has left";
  EXPECT_EQ(settle(rotation, state, at(20 * kInterval)), 2) << "one rotation, not twenty";
}

TEST(Rotation, AnIntervalOfAWeekKeepsBothSlotsAccepted) {
  const int64_t week = 7 * RotationPolicy::kDay;
  const Rotation rotation({.interval = week, .accept_generations = 4, .not_after = week});
  RotationState state = *rotation.first(at(0), {});
  for (int64_t t = 0; t < 5 * week; t += 3600) {
    settle(rotation, state, at(t));
    ASSERT_EQ(state.ring.previous() != nullptr, t >= week) << t;
    for (const Generation& generation : state.ring.generations) {
      ASSERT_GT(generation.not_after, at(t).unix_s);
      ASSERT_LE(generation.not_after, at(t).unix_s + week);
    }
  }
}

TEST(RotationClock, LongDowntimeRotatesOnceAndKeepsTheServersKey) {
  const Rotation rotation(kPolicy);
  for (const char* boot : {"boot", "another boot"}) {
    RotationState state = *rotation.first(at(0), {});
    settle(rotation, state, at(kInterval));
    const uint64_t current = state.ring.current()->id;
    const Moment back = at(50 * kInterval, boot);
    state = rotation.reopened(state, back);
    EXPECT_THAT(ids(state.ring), ElementsAre(current)) << "previous had expired";
    EXPECT_GT(state.ring.current()->not_after, back.unix_s);
    EXPECT_EQ(settle(rotation, state, back), 3) << "staged, minting, steady: once";
    EXPECT_EQ(state.ring.previous()->id, current);
  }
}

TEST(RotationClock, AClockSetBackRotatesAndExpiresNothing) {
  const Rotation rotation(kPolicy);
  RotationState state = *rotation.first(at(0), {Key::random(), Key::random(), Key::random()});
  settle(rotation, state, at(100));
  const auto before = ids(state.ring);
  // A year back, on the same boot: 100 s have passed.
  const int64_t year = 365 * RotationPolicy::kDay;
  Moment now = at(200);
  now.unix_s -= year;
  EXPECT_TRUE(rotation.maintain(state, now));
  EXPECT_FALSE(rotation.advance(state, now, true));
  EXPECT_EQ(ids(state.ring), before);
  EXPECT_EQ(state.ring.current()->not_after - now.unix_s, 3 * kInterval - 200);
  EXPECT_EQ(*rotation.next_rotation(state) - now.unix_s, kInterval - 200);
  // Time goes on from there: the rotation comes when it was due, not a year late.
  now.unix_s += kInterval - 200;
  now.boot_s += kInterval - 200;
  EXPECT_EQ(settle(rotation, state, now), 3);
}

TEST(RotationClock, AClockSetForwardRotatesAndExpiresNothing) {
  const Rotation rotation(kPolicy);
  RotationState state = *rotation.first(at(0), {Key::random(), Key::random(), Key::random()});
  const auto before = ids(state.ring);
  Moment now = at(10);
  now.unix_s += 365 * RotationPolicy::kDay;
  EXPECT_TRUE(rotation.maintain(state, now));
  EXPECT_EQ(settle(rotation, state, now), 0);
  EXPECT_EQ(ids(state.ring), before);
  EXPECT_TRUE(rotation.maintain(state, at(20))) << "and set right again";
  EXPECT_EQ(state.ring.current()->not_after, kStart + 3 * kInterval);
}

TEST(RotationClock, BootsInThe1970sAndIsSetRightLater) {
  const Rotation rotation(kPolicy);
  RotationState state = *rotation.first(at(0), {Key::random(), Key::random(), Key::random()});
  const auto before = ids(state.ring);
  Moment early{.unix_s = 30, .boot_s = 30, .boot_id = "second"};
  state = rotation.reopened(state, early);
  EXPECT_EQ(settle(rotation, state, early), 0);
  EXPECT_EQ(ids(state.ring), before);
  EXPECT_EQ(state.ring.current()->not_after, early.unix_s + 3 * kInterval);
  const Moment right{.unix_s = kStart + 5000, .boot_s = 40, .boot_id = "second"};
  EXPECT_EQ(settle(rotation, state, right), 0);
  EXPECT_EQ(ids(state.ring), before);
  EXPECT_EQ(state.ring.current()->not_after, right.unix_s + 3 * kInterval - 10);
}

TEST(RotationClock, RestartAfterTheClockWasSetTrustsTheBootClock) {
  const Rotation rotation(kPolicy);
  RotationState saved = *rotation.first(at(0), {Key::random(), Key::random()});
  Moment now = at(50);
  now.unix_s += 100LL * kInterval;
  RotationState state = rotation.reopened(saved, now);
  EXPECT_EQ(settle(rotation, state, now), 0);
  EXPECT_EQ(ids(state.ring), ids(saved.ring));
}

TEST(RotationPolicyChange, TakesEffectWhenReopened) {
  const Rotation slow(kPolicy);
  RotationState state = *slow.first(at(0), {Key::random(), Key::random(), Key::random()});
  // To by-command: nothing expires any more.
  RotationState changed = Rotation(kByHand).reopened(state, at(1));
  for (const Generation& generation : changed.ring.generations) {
    EXPECT_EQ(generation.not_after, 0);
  }
  // And back: everything has an end again.
  changed = slow.reopened(changed, at(2));
  for (const Generation& generation : changed.ring.generations) {
    EXPECT_EQ(generation.not_after, at(2).unix_s + 3 * kInterval);
  }
  // To a longer interval: the current key lives until its rotation is due.
  const Rotation longer({.interval = 10000, .accept_generations = 4, .not_after = 30000});
  EXPECT_EQ(longer.reopened(state, at(1)).ring.current()->not_after, kStart + 30000);
  // To fewer retired ones.
  const Rotation fewer({.interval = kInterval, .accept_generations = 0, .not_after = 3000});
  EXPECT_THAT(places(fewer.reopened(state, at(1)).ring), ElementsAre("current", "previous"));
}

TEST(RotationImport, FirstIsCurrentSecondPreviousOthersRetired) {
  const Rotation rotation(kByHand);
  RotationState state = *rotation.first(at(0), {Key::random(), Key::random()});
  const auto before = ids(state.ring);
  const std::vector<Key> keys = {Key::random(), Key::random(), Key::random()};
  state = *rotation.import(state, at(1), keys);
  EXPECT_EQ(state.ring.phase, Phase::staged);
  EXPECT_EQ(state.ring.current()->id, before[0]) << "nobody mints with the new key yet";
  EXPECT_EQ(state.ring.staged()->key, keys[0]);
  EXPECT_EQ(settle(rotation, state, at(1)), 2);
  ASSERT_EQ(state.ring.generations.size(), 5U);
  for (size_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(state.ring.generations[i].key, keys[i]) << i;
  }
  EXPECT_EQ(state.ring.generations[3].id, before[0]);
  EXPECT_EQ(state.ring.generations[4].id, before[1]);
  EXPECT_THAT(places(state.ring),
              ElementsAre("current", "previous", "retired", "retired", "retired"));
}

TEST(RotationImport, OperatorStagesAndSwapsAcrossNodes) {
  const Rotation rotation(kByHand);
  const Key old_key = Key::random();
  const Key new_key = Key::random();
  RotationState state = *rotation.first(at(0), {old_key});
  state = *rotation.import(state, at(1), {old_key, new_key});
  EXPECT_EQ(state.ring.phase, Phase::steady) << "the current key stays: one step";
  EXPECT_EQ(state.ring.sysctl_value().str(), old_key.text().str() + "," + new_key.text().str());
  state = *rotation.import(state, at(2), {new_key, old_key});
  settle(rotation, state, at(2));
  EXPECT_EQ(state.ring.sysctl_value().str(), new_key.text().str() + "," + old_key.text().str());
  EXPECT_EQ(state.ring.generations.size(), 2U);
}

TEST(RotationImport, ASingleKeyLeavesTheOldOneAsBackup) {
  const Rotation rotation(kByHand);
  RotationState state = *rotation.first(at(0), {});
  const Key old_key = state.ring.current()->key;
  const Key new_key = Key::random();
  state = *rotation.import(state, at(1), {new_key});
  settle(rotation, state, at(1));
  EXPECT_EQ(state.ring.sysctl_value().str(), new_key.text().str() + "," + old_key.text().str());
}

TEST(RotationImport, TheLargestImportFits) {
  const Rotation rotation({.interval = 0, .accept_generations = 13, .not_after = 0});
  RotationState state = *rotation.first(at(0), {});
  for (int round = 0; round < 3; ++round) {
    std::vector<Key> keys(15);
    std::generate(keys.begin(), keys.end(), Key::random);
    const auto next = rotation.import(state, at(1), keys);
    ASSERT_TRUE(next);
    ASSERT_TRUE(next->ring.check());
    state = *next;
    settle(rotation, state, at(1));
    ASSERT_EQ(state.ring.generations.size(), 15U);
    for (size_t i = 0; i < keys.size(); ++i) {
      EXPECT_EQ(state.ring.generations[i].key, keys[i]);
    }
  }
  EXPECT_THAT(rotation.import(state, at(1), std::vector<Key>(16)).error().message,
              HasSubstr("this pool holds 15"));
}

TEST(RotationImport, RefusesWithReasons) {
  const Rotation rotation(kByHand);
  RotationState state = *rotation.first(at(0), {});
  const auto why = [&](const std::vector<Key>& keys) {
    return rotation.import(state, at(1), keys).error().message;
  };
  const Key key = Key::random();
  EXPECT_THAT(why({}), HasSubstr("no key"));
  EXPECT_THAT(why({key, key}), HasSubstr("twice"));
  EXPECT_THAT(why({key, Key()}), HasSubstr("all-zero"));
  const Rotation by_itself(kPolicy);
  EXPECT_THAT(by_itself.import(state, at(1), {key}).error().message, HasSubstr("\"interval\""));
  state = *rotation.rotate(state, at(1));
  EXPECT_TRUE(rotation.import(state, at(1), {key})) << "a key that is only staged gives way";
  state = *rotation.advance(state, at(1), true);
  EXPECT_THAT(why({key}), HasSubstr("under way"));
}

}  // namespace
}  // namespace tfo::key_rotation_test
