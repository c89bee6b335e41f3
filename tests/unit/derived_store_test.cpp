// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <sstream>

#include "tests/unit/derived_world.h"

namespace tfo::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class DerivedStoreTest : public DerivedTest {};

TEST_F(DerivedStoreTest, FollowsTheClockAlone) {
  const auto store = make_store();
  ASSERT_EQ(open(*store), "");
  EXPECT_FALSE(store->waits_for_sinks());
  int changes = 0;
  std::string before = store->ring().sysctl_value().str();
  for (int64_t time = kEdge + 10; time < kEdge + 310; ++time) {
    ASSERT_NO_FATAL_FAILURE(run_to(*store, time));
    EXPECT_EQ(store->ring().sysctl_value().view(), slots()) << time - kEdge;
    EXPECT_TRUE(store->ring().check());
    changes += store->ring().sysctl_value().view() != before ? 1 : 0;
    before = store->ring().sysctl_value().str();
  }
  EXPECT_EQ(changes, 6);
}

TEST_F(DerivedStoreTest, ARestartChangesNothing) {
  auto store = make_store();
  ASSERT_EQ(open(*store), "");
  run_to(*store, kEdge + 60);
  const std::string slots_before = store->ring().sysctl_value().str();
  const uint64_t id = store->ring().current()->id;
  const int64_t end = store->ring().current()->not_after;
  store = make_store();
  ASSERT_EQ(open(*store), "");
  EXPECT_EQ(store->ring().sysctl_value().view(), slots_before);
  EXPECT_EQ(store->ring().current()->id, id);
  EXPECT_EQ(store->ring().current()->not_after, end);
}

TEST_F(DerivedStoreTest, StateIsPrivateAndHoldsNoSecret) {
  const auto store = make_store();
  ASSERT_EQ(open(*store), "");
  struct stat info{};
  ASSERT_EQ(stat(state_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  std::stringstream text;
  text << std::ifstream(state_path()).rdbuf();
  EXPECT_THAT(text.str(), HasSubstr(std::to_string(kEdge + 10)));
  for (const Generation& one : store->ring().generations) {
    EXPECT_THAT(text.str(), Not(HasSubstr(one.key.text().str().substr(0, 8))));
  }
}

TEST_F(DerivedStoreTest, AbandonTakesBackTheStateThatItMade) {
  auto store = make_store();
  ASSERT_EQ(open(*store), "");
  store->abandon();
  EXPECT_FALSE(std::filesystem::exists(state_path()));
  ASSERT_EQ(open(*make_store()), "");
  store = make_store();
  ASSERT_EQ(open(*store), "");
  store->abandon();
  EXPECT_TRUE(std::filesystem::exists(state_path()));
}

TEST_F(DerivedStoreTest, ALostSecretKeepsTheRingUntilItsEnd) {
  const auto store = make_store();
  ASSERT_EQ(open(*store), "");
  const std::string before = store->ring().sysctl_value().str();
  const int64_t end = store->ring().current()->not_after;
  EXPECT_EQ(end, kEdge + 300);
  std::filesystem::remove(secret_path());
  for (const int64_t time : {kEdge + 20, kEdge + 52, kEdge + 102, kEdge + 302}) {
    pass_to(time);
    EXPECT_THAT(settle(*store), AllOf(HasSubstr(secret_path()), HasSubstr("no such file")));
    EXPECT_EQ(store->ring().sysctl_value().view(), before);
    EXPECT_EQ(store->ring().current()->not_after, end);
    EXPECT_LE(store->ring().renewal.until, kEdge + 35);
    EXPECT_EQ(store->ring().fresh_until, 1);
  }
  write_secret(std::string(32, 's'));
  ASSERT_EQ(settle(*store), "");
  EXPECT_EQ(store->ring().sysctl_value().view(), slots());
  EXPECT_EQ(store->ring().fresh_until, 0);
  EXPECT_EQ(trouble(*store, "secret_replaced"), "");
}

TEST_F(DerivedStoreTest, WithoutAUsableSecretItDoesNotBegin) {
  write_secret(std::string(32, '\0'));
  EXPECT_THAT(open(*make_store()), HasSubstr("all zero"));
  write_secret(fmt::format("{} {}", kIndex + 1, hex('s')));
  EXPECT_THAT(open(*make_store()), HasSubstr("no key for the present interval"));
  std::filesystem::remove(secret_path());
  EXPECT_THAT(open(*make_store()), HasSubstr("no such file"));
  EXPECT_FALSE(std::filesystem::exists(state_path()));
}

TEST_F(DerivedStoreTest, AReplacedSecretComesIntoForceAtTheNextHalf) {
  const auto store = make_store();
  ASSERT_EQ(open(*store), "");
  write_secret(std::string(32, 'n'));
  run_to(*store, kEdge + 20);
  EXPECT_EQ(store->ring().sysctl_value().view(), slots());
  EXPECT_NE(store->ring().find(key('n', kIndex)), nullptr) << "others may be ahead";
  EXPECT_THAT(trouble(*store, "secret_replaced"), HasSubstr("comes into force"));
  EXPECT_LE(store->ring().renewal.until, kEdge + 50 - 15);
  run_to(*store, kEdge + 51);
  EXPECT_EQ(store->ring().sysctl_value().view(), slots());
  EXPECT_EQ(store->ring().renewal.target, 0U);

  run_to(*store, kEdge + 52);
  EXPECT_EQ(store->ring().sysctl_value().view(), slots(std::string(32, 'n')));
  const Generation* old = store->ring().find(key('s', kIndex));
  ASSERT_NE(old, nullptr) << "clients have its cookies";
  EXPECT_EQ(old->place, TFO_PLACE_RETIRED);
  EXPECT_TRUE(store->ring().check());
  EXPECT_EQ(store->ring().renewal.target, 0U) << "not all servers may have it";
  run_to(*store, kEdge + 65);
  EXPECT_EQ(store->ring().renewal.target, derived_id(key('n', kIndex)));
  EXPECT_THAT(trouble(*store, "secret_replaced"), Not(IsEmpty()));
  run_to(*store, kEdge + 152);
  EXPECT_EQ(trouble(*store, "secret_replaced"), "");
  EXPECT_NE(store->ring().find(key('s', kIndex)), nullptr);
  run_to(*store, kEdge + 402);
  EXPECT_EQ(store->ring().find(key('s', kIndex)), nullptr);
}

TEST_F(DerivedStoreTest, EvenAFullRingKeepsTheKeysOfTheOldSecretThatMatter) {
  policy_.accept_generations = 13;
  const auto store = make_store();
  ASSERT_EQ(open(*store), "");
  write_secret(std::string(32, 'n'));
  run_to(*store, kEdge + 60);
  EXPECT_EQ(store->ring().generations.size(), 16U);
  EXPECT_NE(store->ring().find(key('s', kIndex)), nullptr);
  EXPECT_NE(store->ring().find(key('s', kIndex - 1)), nullptr);
}

TEST_F(DerivedStoreTest, ALineForAnIntervalToComeIsAnOrdinaryRotation) {
  write_secret("0 " + hex('s'));
  const auto store = make_store();
  ASSERT_EQ(open(*store), "");
  write_secret(fmt::format("0 {}\n{} {}\n", hex('s'), kIndex + 2, hex('n')));
  for (int64_t time = kEdge + 11; time < kEdge + 330; ++time) {
    ASSERT_NO_FATAL_FAILURE(run_to(*store, time));
    EXPECT_EQ(trouble(*store, "secret_replaced"), "");
    EXPECT_NE(store->ring().renewal.target, 0U);
    EXPECT_LE(store->ring().generations.size(), 5U);
  }
  EXPECT_EQ(store->ring().current()->key, key('n', kIndex + 3));
  EXPECT_NE(store->ring().find(key('s', kIndex + 1)), nullptr);
}

TEST_F(DerivedStoreTest, LinesThatAreOverMayBeRemoved) {
  write_secret(fmt::format("0 {}\n{} {}\n", hex('o'), kIndex - 1, hex('s')));
  const auto store = make_store();
  ASSERT_EQ(open(*store), "");
  EXPECT_NE(store->ring().find(key('o', kIndex - 2)), nullptr);
  write_secret(fmt::format("{} {}\n", kIndex - 1, hex('s')));
  run_to(*store, kEdge + 60);
  EXPECT_EQ(trouble(*store, "secret_replaced"), "");
  EXPECT_EQ(store->ring().sysctl_value().view(), slots());
  EXPECT_NE(store->ring().renewal.target, 0U);
}

TEST_F(DerivedStoreTest, ASecretThatBeginsAfterALongAbsenceIsTaken) {
  const auto store = make_store();
  ASSERT_EQ(open(*store), "");
  std::filesystem::remove(secret_path());
  pass_to(kEdge + 1010);
  EXPECT_NE(settle(*store), "");
  write_secret(fmt::format("{} {}", kIndex + 9, hex('n')));
  EXPECT_EQ(settle(*store), "");
  EXPECT_EQ(store->ring().current()->key, key('n', kIndex + 10));
}

TEST_F(DerivedStoreTest, KeysOfBeforeStayAccepted) {
  const Key host = *Key::parse("00112233-44556677-8899aabb-ccddeeff");
  auto store = make_store();
  ASSERT_EQ(open(*store, {host, Key()}), "");
  ASSERT_NE(store->ring().find(host), nullptr);
  EXPECT_EQ(store->ring().find(host)->place, TFO_PLACE_RETIRED);
  const KeyRing before = store->ring();
  // At every start: a secret may have been replaced in between.
  store = make_store();
  ASSERT_EQ(open(*store, {host, key('s', kIndex)}), "");
  EXPECT_NE(store->ring().find(host), nullptr);
  EXPECT_EQ(store->ring().find(key('s', kIndex))->place, TFO_PLACE_CURRENT);
  store = make_store();
  ASSERT_EQ(open(*store), "");
  EXPECT_EQ(store->ring().find(host), nullptr);
  store = make_store();
  store->inherit(before, clock_.moment.unix_s);
  ASSERT_EQ(open(*store), "");
  EXPECT_NE(store->ring().find(host), nullptr);
  EXPECT_EQ(store->ring().generations.size(), before.generations.size());
}

TEST_F(DerivedStoreTest, ADiskThatFailsHoldsNothingUp) {
  const auto store = make_store();
  ASSERT_EQ(open(*store), "");
  std::filesystem::remove_all(directory_ / "state");
  std::ofstream(directory_ / "state") << "no directory";
  pass_to(kEdge + 52);
  EXPECT_THAT(settle(*store), HasSubstr(state_path()));
  EXPECT_EQ(store->ring().sysctl_value().view(), slots());
  std::filesystem::remove(directory_ / "state");
  EXPECT_EQ(settle(*store), "");
  EXPECT_TRUE(std::filesystem::exists(state_path()));
}

TEST_F(DerivedStoreTest, CommandsAreRefusedWithWhatToDoInstead) {
  const auto store = make_store();
  ASSERT_EQ(open(*store), "");
  const std::string line = fmt::format("`{} NEWHEX`", kIndex + 2);
  EXPECT_THAT(store->rotate(clock_.now()).error().message,
              AllOf(HasSubstr("`0 OLDHEX`"), HasSubstr(line), HasSubstr(secret_path())));
  write_secret("0 " + hex('s'));
  ASSERT_EQ(settle(*store), "");
  EXPECT_THAT(store->rotate(clock_.now()).error().message,
              AllOf(HasSubstr("add a line " + line), Not(HasSubstr("OLDHEX"))));
  EXPECT_THAT(store->import(clock_.now(), {}).error().message, HasSubstr("\"file\""));
}

TEST_F(DerivedStoreTest, APoolWritesValidatorsFirstAndWaitsForNobody) {
  PoolWorld world;
  world.devices["bpf"].role = KeySink::Role::validator;
  for (const char* name : {"a", "b"}) world.devices[name];
  std::map<std::string, std::string> raised;
  KeyPool pool("web", make_store(), clock_, [&](const KeyCondition& condition) {
    raised.erase(condition.id);
    if (condition.raised) raised[condition.id] = condition.evidence;
  });
  for (const auto& device : world.devices) {
    pool.add_sink(std::make_unique<FakeSink>(world, device.first));
  }
  ASSERT_TRUE(pool.start());
  const auto key_of_a = [&] { return world.devices["a"].accepts.front(); };
  for (int i = 0; i < 40; ++i) {
    clock_.pass(pool.tick());
    EXPECT_THAT(raised, IsEmpty());
  }
  EXPECT_EQ(world.broken, "");
  pool.tick();
  EXPECT_EQ(key_of_a(), key('s', (clock_.moment.unix_s - 2) / 100));

  world.devices["b"].fails = [] { return std::string("read-only"); };
  for (int i = 0; i < 40; ++i) clock_.pass(pool.tick());
  pool.tick();
  EXPECT_EQ(raised.count("key_sink_failed"), 1U);
  EXPECT_EQ(raised.count("rotation_held"), 0U);
  EXPECT_EQ(key_of_a(), key('s', (clock_.moment.unix_s - 2) / 100));
  EXPECT_FALSE(pool.rotate());
  EXPECT_EQ(pool.status().store, "derived");

  world.devices["bpf"].fails = [] { return std::string("no map"); };
  for (int i = 0; i < 40; ++i) clock_.pass(pool.tick());
  pool.tick();
  EXPECT_EQ(key_of_a(), key('s', (clock_.moment.unix_s - 2) / 100))
      << "the farm's other servers go on, so must this one";
}

}  // namespace
}  // namespace tfo::test
