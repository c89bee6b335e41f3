// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/unit/key_pool_world.h"

namespace tfo::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;

TEST_F(KeyPoolTest, StartPutsTheRingInForceEverywhere) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  for (const auto& [name, device] : world_.devices) {
    EXPECT_THAT(device.accepts, ElementsAre(pool->ring().current()->key)) << name;
  }
  EXPECT_THAT(raised(), IsEmpty());
  const PoolStatus status = pool->status();
  EXPECT_EQ(status.store, "file");
  EXPECT_EQ(status.phase, Phase::steady);
  EXPECT_EQ(status.next_rotation, clock_.moment.unix_s + kInterval);
  EXPECT_THAT(status.missing, IsEmpty());
}

TEST_F(KeyPoolTest, RotatesWhenItIsDueAndOnlyOnceWhenLate) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  const Key first = pool->ring().current()->key;
  clock_.pass(kInterval - 1);
  EXPECT_EQ(pool->tick(), 1);
  EXPECT_EQ(pool->ring().current()->key, first);
  clock_.pass(1);
  pool->tick();
  EXPECT_EQ(pool->ring().phase, Phase::steady);
  EXPECT_EQ(pool->ring().previous()->key, first);
  EXPECT_EQ(world_.broken, "");

  const Key second = pool->ring().current()->key;
  pool.reset();
  clock_.pass(40 * kInterval);
  pool = make_pool();
  ASSERT_TRUE(pool->start());
  EXPECT_EQ(pool->ring().previous()->key, second);
  EXPECT_EQ(pool->status().next_rotation, clock_.moment.unix_s + kInterval);
  EXPECT_EQ(world_.broken, "");
}

TEST_F(KeyPoolTest, ARestartWritesTheSameKeysAgain) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  ASSERT_TRUE(pool->rotate());
  const auto held = world_.devices["a"].accepts;
  pool.reset();
  world_.devices["a"].accepts.clear();
  pool = make_pool();
  ASSERT_TRUE(pool->start());
  EXPECT_EQ(world_.devices["a"].accepts, held);
}

TEST_F(KeyPoolTest, AServerThatFailsHoldsTheRotation) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  const Key first = pool->ring().current()->key;
  world_.devices["b"].fails = [] { return "read-only"; };
  const auto rotated = pool->rotate();
  ASSERT_FALSE(rotated);
  EXPECT_THAT(rotated.error().message, AllOf(HasSubstr("staged"), HasSubstr("b: read-only")));
  EXPECT_EQ(pool->ring().phase, Phase::staged);
  EXPECT_EQ(world_.devices["a"].accepts.front(), first) << "nobody mints with the new key";
  EXPECT_THAT(raised(), ElementsAre("key_sink_failed web/b", "rotation_held web"));
  EXPECT_THAT(pool->status().missing, ElementsAre("b"));
  EXPECT_THAT(pool->rotate().error().message, HasSubstr("b: read-only"));

  const int writes = world_.devices["a"].writes;
  EXPECT_EQ(pool->tick(), KeyPool::kRetry);
  EXPECT_EQ(world_.devices["a"].writes, writes) << "who has it is left alone";
  world_.devices["b"].fails = [] { return std::string(); };
  pool->tick();
  EXPECT_EQ(pool->ring().phase, Phase::steady);
  EXPECT_EQ(pool->ring().previous()->key, first);
  EXPECT_THAT(raised(), IsEmpty());
  EXPECT_EQ(world_.broken, "");
}

TEST_F(KeyPoolTest, ServersWaitForTheValidators) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  const auto held = world_.devices["a"].accepts;
  world_.devices["bpf"].fails = [] { return "no map"; };
  EXPECT_FALSE(pool->rotate());
  EXPECT_EQ(world_.devices["a"].accepts, held);
  world_.devices["bpf"].fails = [] { return std::string(); };
  pool->tick();
  EXPECT_EQ(pool->ring().phase, Phase::steady);
  EXPECT_EQ(world_.broken, "");
}

TEST_F(KeyPoolTest, AKeyOverwrittenDuringAHeldRotationIsWrittenAgainBeforeMinting) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  world_.devices["b"].fails = [] { return "busy"; };
  EXPECT_FALSE(pool->rotate());
  world_.devices["a"].accepts = {Key::random()};
  world_.devices["b"].fails = [] { return std::string(); };
  const int writes = world_.devices["a"].writes;
  pool->tick();
  EXPECT_EQ(pool->ring().phase, Phase::steady);
  EXPECT_EQ(world_.devices["a"].writes, writes + 3) << "staged again, then minting and steady";
}

TEST_F(KeyPoolTest, DriftIsOnlyReportedWhereAskedFor) {
  auto pool = make_pool();
  pool->set_on_drift(OnDrift::report);
  ASSERT_TRUE(pool->start());
  const auto ours = world_.devices["a"].accepts;
  const std::vector<Key> theirs = {Key::random()};
  world_.devices["a"].accepts = theirs;
  clock_.pass(KeyPool::kVerify);
  pool->tick();
  EXPECT_THAT(raised(), ElementsAre("key_drift web/a"));
  EXPECT_EQ(world_.devices["a"].accepts, theirs);
  world_.devices["a"].accepts = ours;
  clock_.pass(KeyPool::kVerify);
  pool->tick();
  EXPECT_THAT(raised(), IsEmpty());
}

TEST_F(KeyPoolTest, DriftIsRepairedAndStaysVisibleForAWhile) {
  auto pool = make_pool(kByHand);
  ASSERT_TRUE(pool->start());
  const auto ours = world_.devices["a"].accepts;
  world_.devices["a"].accepts = {Key::random()};
  clock_.pass(KeyPool::kVerify);
  EXPECT_EQ(pool->tick(), KeyPool::kVerify) << "servers are looked at all the time";
  EXPECT_EQ(world_.devices["a"].accepts, ours);
  EXPECT_THAT(raised(), ElementsAre("key_repaired web/a"));
  EXPECT_THAT(conditions_["key_repaired web/a"], HasSubstr("1 time "));
  EXPECT_THAT(pool->status().repairs, ElementsAre(Pair("a", 1U), Pair("b", 0U), Pair("c", 0U)));
  clock_.pass(RepairLog::kShown - 1);
  pool->tick();
  EXPECT_THAT(raised(), ElementsAre("key_repaired web/a"));
  clock_.pass(KeyPool::kVerify);
  pool->tick();
  EXPECT_THAT(raised(), IsEmpty());
}

TEST_F(KeyPoolTest, AFightIsSaidAndEnds) {
  auto pool = make_pool(kByHand);
  ASSERT_TRUE(pool->start());
  for (size_t i = 0; i < RepairLog::kFight; ++i) {
    EXPECT_FALSE(conditions_.contains("key_fight web/a"));
    world_.devices["a"].accepts = {Key::random()};
    clock_.pass(KeyPool::kVerify);
    pool->tick();
  }
  EXPECT_THAT(raised(), ElementsAre("key_fight web/a", "key_repaired web/a"));
  clock_.pass(RepairLog::kFightWindow);
  pool->tick();
  EXPECT_THAT(raised(), ElementsAre("key_repaired web/a"));
}

TEST_F(KeyPoolTest, ARepairThatFailsIsAFailureAndTriedAgain) {
  auto pool = make_pool(kByHand);
  ASSERT_TRUE(pool->start());
  const auto ours = world_.devices["a"].accepts;
  world_.devices["a"].accepts = {Key::random()};
  world_.devices["a"].fails = [] { return "read-only"; };
  clock_.pass(KeyPool::kVerify);
  EXPECT_EQ(pool->tick(), KeyPool::kRetry);
  EXPECT_THAT(raised(), ElementsAre("key_sink_failed web/a"));
  EXPECT_THAT(pool->status().missing, ElementsAre("a"));
  world_.devices["a"].fails = [] { return std::string(); };
  pool->tick();
  EXPECT_EQ(world_.devices["a"].accepts, ours);
  EXPECT_THAT(raised(), IsEmpty());
}

TEST_F(KeyPoolTest, ADeletedNamespaceHoldsNothing) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  world_.devices["c"].gone = true;
  EXPECT_TRUE(pool->rotate());
  EXPECT_EQ(pool->ring().phase, Phase::steady);
  pool->tick();
  EXPECT_THAT(pool->status().gone, ElementsAre("c"));
  EXPECT_THAT(pool->status().missing, IsEmpty());
}

TEST_F(KeyPoolTest, AdoptsWhatAllServersHold) {
  const std::vector<Key> host = {Key::random(), Key::random()};
  for (const char* name : {"a", "b", "c"}) {
    world_.devices[name].accepts = host;
  }
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  EXPECT_EQ(world_.devices["a"].accepts, host);
  EXPECT_EQ(world_.devices["bpf"].accepts, host);
  pool.reset();

  reset_world();
  world_.devices["a"].accepts = host;
  world_.devices["b"].accepts = {host[0]};
  pool = make_pool();
  ASSERT_TRUE(pool->start());
  EXPECT_FALSE(pool->ring().current()->key == host[0]) << "they differ: new keys";
  EXPECT_EQ(world_.devices["a"].accepts, world_.devices["b"].accepts);
}

TEST_F(KeyPoolTest, AStoreThatCannotWriteKeepsTheKeysAndSaysSo) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  const Key first = pool->ring().current()->key;
  // A directory in the way of the temporary file fails the write for root too.
  fs::create_directory(directory_ / "web.keys.new");
  clock_.pass(kInterval);
  EXPECT_EQ(pool->tick(), KeyPool::kRetry);
  EXPECT_EQ(pool->ring().current()->key, first);
  EXPECT_THAT(raised(), ElementsAre("key_store_failed web"));
  for (int64_t passed = 0; passed < 10 * kInterval; passed += 100) {
    clock_.pass(100);
    pool->tick();
    ASSERT_GT(pool->ring().current()->not_after, clock_.moment.unix_s) << "extended while held";
  }
  fs::remove(directory_ / "web.keys.new");
  pool->tick();
  EXPECT_EQ(pool->ring().previous()->key, first);
  EXPECT_THAT(raised(), IsEmpty());
}

TEST_F(KeyPoolTest, ExportIsWhatImportTakes) {
  auto pool = make_pool(kByHand);
  ASSERT_TRUE(pool->start());
  ASSERT_TRUE(pool->rotate());
  ASSERT_TRUE(pool->rotate());
  const Secret text = pool->export_text();
  ASSERT_TRUE(pool->rotate());
  ASSERT_TRUE(pool->import(*Key::parse_list(text.view())));
  EXPECT_EQ(pool->export_text().view().substr(0, text.view().size()), text.view());
  EXPECT_EQ(world_.broken, "");
}

TEST_F(KeyPoolTest, EvidenceHoldsNoKey) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  world_.devices["b"].fails = [] { return "broken"; };
  const std::string error = pool->rotate().error().message;
  for (const Generation& generation : pool->ring().generations) {
    const std::string word = generation.key.text().str().substr(0, 8);
    EXPECT_THAT(error, Not(HasSubstr(word)));
    for (const auto& condition : conditions_) {
      EXPECT_THAT(condition.second, Not(HasSubstr(word)));
    }
  }
}

TEST_F(KeyPoolTest, ANewPoolClearsWhatItsPredecessorLeftRaised) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  world_.devices["b"].fails = [] { return "broken"; };
  EXPECT_FALSE(pool->rotate());
  EXPECT_THAT(raised(), Not(IsEmpty()));
  world_.devices["b"].fails = [] { return std::string(); };
  pool.reset();
  pool = make_pool();
  ASSERT_TRUE(pool->start());
  EXPECT_THAT(raised(), IsEmpty());
}

TEST_F(KeyPoolTest, AReplacementPoolTakesOverTheSinks) {
  auto pool = make_pool();
  ASSERT_TRUE(pool->start());
  const Key key = pool->ring().current()->key;
  auto sinks = pool->take_sinks();
  EXPECT_EQ(sinks.size(), 4U);
  pool.reset();
  pool = std::make_unique<KeyPool>(
      "web", std::make_unique<FileStore>(directory_ / "web.keys", Rotation(kByHand)), clock_,
      [](const KeyCondition&) {});
  for (auto& sink : sinks) {
    pool->add_sink(std::move(sink));
  }
  ASSERT_TRUE(pool->start());
  EXPECT_EQ(pool->ring().current()->key, key);
}

}  // namespace
}  // namespace tfo::test
