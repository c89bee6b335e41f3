// SPDX-License-Identifier: BSD-2-Clause
// What a derived pool still knows after a restart, and what it keeps of other keys.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <sstream>

#include "loader/keys/derived_guests.h"
#include "tests/unit/derived_world.h"

namespace tfo::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class DerivedRestartTest : public DerivedTest {
 protected:
  std::unique_ptr<DerivedStore> restarted(const std::vector<Key>& host = {}) const {
    auto store = make_store();
    EXPECT_EQ(open(*store, host), "");
    return store;
  }
  std::string read_state() const {
    std::stringstream text;
    text << std::ifstream(state_path()).rdbuf();
    return text.str();
  }
  void write_state(const std::string& more) const {
    std::filesystem::create_directories(directory_ / "state");
    std::ofstream(state_path()) << fmt::format(
        R"({{"format": "tfoguard derived state", "acted_at": {}, "interval": 100, "index": {}{}}})",
        kEdge + 5, kIndex, more);
    ASSERT_EQ(chmod(state_path().c_str(), 0600), 0);
    ASSERT_EQ(chmod((directory_ / "state").c_str(), 0700), 0);
  }
};

TEST_F(DerivedRestartTest, AnotherRingIsInForceBeforeItIsRemembered) {
  const auto store = make_store();
  ASSERT_EQ(open(*store), "");
  run_to(*store, kEdge + 40);
  const std::string before = read_state();
  const uint64_t revision = store->ring().revision;
  pass_to(kEdge + 52);
  const auto stepped = store->step(clock_.now(), {.revision = revision, .missing = {}});
  ASSERT_TRUE(stepped && *stepped);
  EXPECT_NE(store->ring().revision, revision);
  EXPECT_EQ(read_state(), before) << "the sinks wait for the disk";
  ASSERT_EQ(settle(*store), "");
  EXPECT_NE(read_state(), before);
}

TEST_F(DerivedRestartTest, ASecretThatWasReplacedBeforeARestartIsNoticed) {
  auto store = restarted();
  write_secret(std::string(32, 'n'));
  run_to(*store, kEdge + 20);
  store = restarted({key('s', kIndex), key('s', kIndex - 1)});
  EXPECT_THAT(trouble(*store, "secret_replaced"),
              AllOf(HasSubstr("at once"), HasSubstr("none on a balancer")));
  EXPECT_NE(store->ring().find(key('s', kIndex)), nullptr) << "the servers hold it";
  EXPECT_NE(store->ring().find(key('s', kIndex - 1)), nullptr);
  EXPECT_EQ(store->ring().current()->key, key('n', kIndex));
  EXPECT_EQ(store->ring().renewal.target, 0U) << "the others change at the next half only";
  // A second restart does not make it silent.
  pass_to(kEdge + 40);
  store = restarted();
  EXPECT_THAT(trouble(*store, "secret_replaced"), HasSubstr("at once"));
  EXPECT_EQ(store->ring().renewal.target, 0U);
  run_to(*store, kEdge + 65);
  EXPECT_EQ(store->ring().renewal.target, derived_id(key('n', kIndex)));
  run_to(*store, kEdge + 151);
  EXPECT_EQ(trouble(*store, "secret_replaced"), "");
}

TEST_F(DerivedRestartTest, TheBackupSlotCountsToo) {
  auto store = restarted();
  run_to(*store, kEdge + 60);
  write_secret(fmt::format("0 {}\n{} {}\n", hex('s'), kIndex + 1, hex('n')));
  store = restarted();
  EXPECT_THAT(trouble(*store, "secret_replaced"), Not(IsEmpty()));
  run_to(*store, kEdge + 260);
  EXPECT_EQ(trouble(*store, "secret_replaced"), "");
  // One interval later it changes nothing that a server has.
  write_secret(fmt::format("{} {}\n{} {}\n", kIndex + 1, hex('n'), kIndex + 4, hex('o')));
  EXPECT_EQ(trouble(*restarted(), "secret_replaced"), "");
}

TEST_F(DerivedRestartTest, NothingIsSaidWhereNothingWasLost) {
  restarted();
  write_secret("0 " + hex('s'));
  EXPECT_EQ(trouble(*restarted(), "secret_replaced"), "");
  // Every key of the old one is over.
  write_secret(std::string(32, 'n'));
  pass_to(kEdge + 1000);
  EXPECT_EQ(trouble(*restarted(), "secret_replaced"), "");
  // An older release wrote no names.
  write_state("");
  set_clock(kEdge + 10);
  EXPECT_EQ(trouble(*restarted(), "secret_replaced"), "");
}

TEST_F(DerivedRestartTest, AReloadKnowsTheKeysOfBefore) {
  const auto before = restarted();
  const std::string remembered = read_state();
  write_secret(std::string(32, 'n'));
  const auto store = make_store();
  store->inherit(before->ring(), clock_.moment.unix_s);
  ASSERT_EQ(open(*store), "");
  EXPECT_NE(store->ring().find(key('s', kIndex)), nullptr);
  EXPECT_THAT(trouble(*store, "secret_replaced"),
              AllOf(HasSubstr("stay accepted here"), Not(HasSubstr("balancer"))));
  // The reload fails: the store of before goes on, and so do the names of its keys.
  EXPECT_NE(read_state(), remembered);
  store->abandon();
  EXPECT_EQ(read_state(), remembered);
  EXPECT_THAT(trouble(*restarted(), "secret_replaced"), Not(IsEmpty()));
}

TEST_F(DerivedRestartTest, ADamagedStateIsNotReadAsNothing) {
  clock_.moment.synchronised = false;
  for (const char* more :
       {R"(, "slots": 5)", R"(, "slots": [5])", R"(, "slots": [{"index": 1}])",
        R"(, "slots": [{"index": 1, "id": "x"}])", R"(, "slots": [{"index": 1, "id": "1 "}])",
        R"(, "slots": [{"index": -1, "id": "1"}])", R"(, "stepped_until": -1)",
        R"(, "renew_from": "1")", R"(, "step": 1.5)"}) {
    write_state(more);
    EXPECT_THAT(open(*make_store()), HasSubstr("damaged")) << more;
  }
  write_state(R"(, "slots": [], "step": -3)");
  EXPECT_EQ(open(*make_store()), "");
}

TEST_F(DerivedRestartTest, AClockThatWasSetStaysSuspect) {
  set_clock(kEdge + 70);
  auto store = restarted();
  set_clock(kEdge + 3670);
  ASSERT_EQ(settle(*store), "");
  pass_to(kEdge + 3675);
  store = restarted();
  EXPECT_THAT(trouble(*store, "clock_suspect"), HasSubstr("set by 3600 s"));
  EXPECT_EQ(store->ring().renewal.target, 0U);
  run_to(*store, kEdge + 3771);
  EXPECT_EQ(trouble(*store, "clock_suspect"), "");
  EXPECT_NE(store->ring().renewal.target, 0U);
}

TEST_F(DerivedRestartTest, MomentsOfAClockThatWasAheadHoldNothingUp) {
  write_state(fmt::format(R"(, "stepped_until": {0}, "renew_from": {0}, "replaced_until": {0},
                             "staged_at": {0}, "staged_seen": 3, "step": 7)",
                          kEdge + 1'000'000));
  const auto store = restarted();
  EXPECT_THAT(trouble(*store, "clock_suspect"), HasSubstr("3 cookies"));
  EXPECT_THAT(trouble(*store, "secret_replaced"), Not(IsEmpty()));
  run_to(*store, kEdge + 151);
  EXPECT_EQ(trouble(*store, "clock_suspect"), "");
  EXPECT_EQ(trouble(*store, "secret_replaced"), "");
  EXPECT_NE(store->ring().renewal.target, 0U);
}

TEST_F(DerivedRestartTest, CookiesBeforeTheirTimeAreRemembered) {
  StagedWatch::Count seen{.epoch = 1, .staged = 0};
  auto store = make_store([&] { return std::optional(seen); });
  ASSERT_EQ(open(*store), "");
  run_to(*store, kEdge + 30);
  seen.staged = 5;
  run_to(*store, kEdge + 60);
  ASSERT_THAT(trouble(*store, "clock_suspect"), HasSubstr("5 cookies"));
  store = restarted();
  EXPECT_THAT(trouble(*store, "clock_suspect"), HasSubstr("5 cookies"));
  EXPECT_EQ(store->ring().renewal.target, 0U);
}

TEST_F(DerivedRestartTest, AClockThatIsRightAgainIsToldHowToGoOn) {
  const auto store = restarted();
  clock_.moment.synchronised = false;
  set_clock(kEdge - 3600);
  ASSERT_EQ(settle(*store), "");
  EXPECT_THAT(trouble(*store, "clock_unsure"), HasSubstr("stop tfod, remove " + state_path()));
}

TEST_F(DerivedRestartTest, AClockThatFlapsPushesNoHonestKeyOut) {
  policy_.accept_generations = 4;
  policy_.not_after = 3000;
  const Key host = *Key::parse("00112233-44556677-8899aabb-ccddeeff");
  const auto store = restarted({host});
  for (int i = 1; i < 20; ++i) {
    set_clock(kEdge + 10 + i * 100'000);
    ASSERT_EQ(settle(*store), "");
    EXPECT_TRUE(store->ring().check());
    set_clock(kEdge + 10 + i);
    ASSERT_EQ(settle(*store), "");
    EXPECT_TRUE(store->ring().check());
    EXPECT_NE(store->ring().find(host), nullptr) << i;
  }
}

std::vector<Generation> generations(int count, int64_t newest) {
  std::vector<Generation> all;
  for (int i = 0; i < count; ++i) {
    Key::Bytes bytes{};
    bytes[0] = static_cast<uint8_t>(i + 1);
    bytes[1] = static_cast<uint8_t>(newest > 1000 ? 1 : 0);
    const Key key(bytes);
    all.push_back({.id = derived_id(key),
                   .key = key,
                   .place = TFO_PLACE_RETIRED,
                   .created_at = newest - i * 100,
                   .not_after = 5000});
  }
  return all;
}

TEST(DerivedGuests, ThoseToComeGoFirstAndEachIsThereOnce) {
  auto guests = generations(10, 100'000);
  const auto honest = generations(10, 1000);
  guests.insert(guests.end(), honest.begin(), honest.end());
  guests.push_back(honest.front());
  guests.back().not_after = 6000;
  bound_guests(guests, 1000, 100);
  ASSERT_EQ(guests.size(), size_t{TFO_MAX_GENERATIONS});
  for (size_t i = 0; i < honest.size(); ++i) EXPECT_TRUE(guests[i].key == honest[i].key) << i;
  EXPECT_EQ(guests[0].not_after, 6000);
  EXPECT_EQ(guests[1].not_after, 5000);
}

}  // namespace
}  // namespace tfo::test
