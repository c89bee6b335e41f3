// SPDX-License-Identifier: BSD-2-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "loader/rotation/document.h"
#include "tests/unit/rotation_world.h"

namespace tfo::rotation {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr State kAll[] = {State::kSteady, State::kPrepare, State::kStaged, State::kMinting,
                          State::kUnminting};

std::string encoded(const Document& doc) {
  const WipedString text = encode(doc);
  return {text.begin(), text.end()};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string why_not(const Document& doc) {
  const auto checked = doc.check();
  return checked ? "good" : checked.error().message;
}

std::vector<uint64_t> ids_at(const KeyRing& ring, tfo_place place) {
  std::vector<uint64_t> ids;
  for (const Generation& one : ring.generations) {
    if (one.place == place) ids.push_back(one.id);
  }
  return ids;
}

TEST(RotationDocument, ComesBackFromItsTextInEveryState) {
  for (const State state : kAll) {
    Document doc = document(state);
    doc.generations.front().revoked = true;
    doc.generations.front().not_after = 0;
    doc.forgotten = {"lb1", "s9"};
    doc.aborting = state == State::kPrepare;
    doc.doomed = state == State::kMinting ? doc.current : 0;
    const auto back = decode_document(encoded(doc));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, doc);
    EXPECT_EQ(hash_of(*back), hash_of(doc));
    EXPECT_EQ(state_from(to_string(state)), state);
  }
  EXPECT_EQ(state_from("retired"), std::nullopt);
  EXPECT_EQ((Counter{.incarnation = 1700000000, .sequence = 12}).text(), "1700000000.12");
}

TEST(RotationDocument, AnyChangeIsAnotherHash) {
  const Document doc = document();
  EXPECT_THAT(hash_of(doc), testing::MatchesRegex("[0-9a-f]{16}"));
  Document other = doc;
  ++other.generations.back().not_after;
  EXPECT_NE(hash_of(other), hash_of(doc));
  other = doc;
  other.generations.front().key = key_of(9);
  EXPECT_NE(hash_of(other), hash_of(doc));
}

TEST(RotationDocument, WhatIsNotUnderstoodIsAnErrorWithoutTheText) {
  const std::string good = encoded(document());
  const std::string secret(key_of(4).text().view());
  ASSERT_THAT(good, HasSubstr(secret));
  const std::vector<std::string> damaged = {
      "",
      "{",
      "[]",
      good.substr(0, good.size() - 1),
      replaced(good, "\"v\":1", "\"v\":2"),
      replaced(good, "\"v\":1", "\"v\":1,\"later\":true"),
      replaced(good, "\"revoked\":false", "\"revoked\":false,\"later\":1"),
      replaced(good, "\"steady\"", "\"resting\""),
      replaced(good, "\"aborting\":false", "\"aborting\":0"),
      replaced(good, secret, secret + "0"),
      replaced(good, secret, secret.substr(1)),
      replaced(good, "\"min_key\":1", "\"min_key\":-1"),
      replaced(good, "\"min_key\":1", "\"min_key\":4294967296"),
      replaced(good, "\"other\":\"0000000000000003\"", "\"other\":3"),
      replaced(good, "\"writer\":\"s1\"", "\"writer\":\"a/b\""),
      replaced(good, "\"pool\":\"web\",", "")};
  for (const std::string& text : damaged) {
    const auto read = decode_document(text);
    ASSERT_FALSE(read) << text;
    EXPECT_THAT(read.error().message, Not(HasSubstr(secret.substr(1, 20))));
    EXPECT_THAT(read.error().message, Not(HasSubstr("resting")));
  }
  EXPECT_THAT(decode_document(damaged[5]).error().message, HasSubstr("bring this node to"));
}

TEST(RotationDocument, CheckRefusesWhatCannotBe) {
  for (const State state : kAll) EXPECT_EQ(why_not(document(state)), "good");
  Document doc = document();
  doc.generations[1].id = 1;
  EXPECT_THAT(why_not(doc), HasSubstr("used twice"));
  doc = document();
  doc.generations[1].key = key_of(1);
  EXPECT_THAT(why_not(doc), HasSubstr("used twice"));
  doc.generations[1].key = Key();
  EXPECT_THAT(why_not(doc), HasSubstr("all zero"));
  doc = document();
  doc.generations.back().revoked = true;
  EXPECT_THAT(why_not(doc), HasSubstr("current"));
  doc = document();
  doc.other = 77;
  EXPECT_THAT(why_not(doc), HasSubstr("other"));
  doc = document(State::kStaged);
  doc.next = 0;
  EXPECT_THAT(why_not(doc), HasSubstr("next"));
  doc.next = 3;
  EXPECT_THAT(why_not(doc), HasSubstr("next"));
  doc = document(State::kStaged);
  doc.aborting = true;
  EXPECT_THAT(why_not(doc), HasSubstr("way back"));
  doc = document();
  for (uint8_t number = 5; number <= TFO_MAX_GENERATIONS + 1; ++number) {
    doc.generations.push_back(generation(number));
  }
  EXPECT_THAT(why_not(doc), HasSubstr("17 generations"));
  doc = document();
  doc.counter.sequence = 0;
  EXPECT_THAT(why_not(doc), HasSubstr("counter"));
  doc = document();
  doc.generations.front().not_after = INT64_MAX;
  EXPECT_THAT(why_not(doc), HasSubstr("9999"));
}

/// State, what the servers hold, and what is renewed to what.
struct Row {
  State state;
  uint8_t primary;
  uint8_t backup;
  uint64_t target;
  std::vector<uint64_t> held;
};

TEST(RotationRing, IsTheTableOfStates) {
  const std::vector<Row> table = {{State::kSteady, 4, 3, 3, {4, 3}},
                                  {State::kPrepare, 4, 3, 4, {4}},
                                  {State::kStaged, 4, 5, 4, {4}},
                                  {State::kMinting, 5, 4, 4, {4}},
                                  {State::kUnminting, 4, 5, 4, {4}}};
  for (const Row& row : table) {
    const Document doc = document(row.state);
    const KeyRing ring = ring_of(doc, 7, kNow, kNow + 5);
    ASSERT_TRUE(ring.check()) << ring.check().error().message;
    EXPECT_EQ(ring.revision, 7U);
    const std::string slots = std::string(key_of(row.primary).text().view()) + "," +
                              std::string(key_of(row.backup).text().view());
    EXPECT_EQ(ring.sysctl_value().str(), slots) << to_string(row.state);
    EXPECT_EQ(ring.renewal.target, row.target) << to_string(row.state);
    EXPECT_EQ(ring.renewal.held, row.held) << to_string(row.state);
    EXPECT_EQ(ring.renewal.until, kNow + 5);
    EXPECT_EQ(ring.generations.size(), doc.generations.size());
  }
}

TEST(RotationRing, OneKeyAloneIsRenewedToItself) {
  Document doc = document();
  doc.other = 0;
  const KeyRing ring = ring_of(doc, 1, kNow, 0);
  EXPECT_EQ(ring.sysctl_value().str(), key_of(4).text().str());
  EXPECT_EQ(ring.renewal.target, 4U);
  EXPECT_THAT(ids_at(ring, TFO_PLACE_RETIRED), ElementsAre(3, 2, 1));
}

TEST(RotationRing, LeavesOutWhatHasExpiredButNeverTheSlots) {
  Document doc = document(State::kStaged);
  doc.generations[0].revoked = true;
  for (FarmGeneration& one : doc.generations) one.not_after = kNow;
  KeyRing ring = ring_of(doc, 1, kNow, 0);
  EXPECT_TRUE(ring.check());
  EXPECT_THAT(ids_at(ring, TFO_PLACE_RETIRED), IsEmpty());
  EXPECT_THAT(ids_at(ring, TFO_PLACE_REVOKED), IsEmpty());
  EXPECT_EQ(ring.generations.size(), 2U);
  doc.generations[0].not_after = kNow + 1;
  doc.generations[1].not_after = 0;
  ring = ring_of(doc, 1, kNow, 0);
  EXPECT_THAT(ids_at(ring, TFO_PLACE_REVOKED), ElementsAre(1));
  EXPECT_THAT(ids_at(ring, TFO_PLACE_RETIRED), ElementsAre(2));
}

/// The slots as the servers of this document hold them.
std::vector<uint64_t> slots(const Document& doc) {
  const KeyRing ring = ring_of(doc, 1, kNow, 0);
  std::vector<uint64_t> ids = {ring.current()->id};
  if (ring.backup() != nullptr) ids.push_back(ring.backup()->id);
  return ids;
}

TEST(RotationUnite, FromAnyTwoStatesTheTargetIsInBothSlots) {
  for (const State one : kAll) {
    for (const State two : kAll) {
      const Document a = document(one);
      Document b = document(two);
      b.writer = "s2";
      if (two != State::kSteady) {  // another rotator's key
        b.generations.back() = generation(6);
        b.next = 6;
      }
      const Document united = unite(a, b, kNow, "s3");
      EXPECT_EQ(united, unite(b, a, kNow, "s3"));
      ASSERT_TRUE(united.check()) << united.check().error().message;
      EXPECT_EQ(united.counter.sequence, 11U);
      const uint64_t target = ring_of(united, 1, kNow, 0).renewal.target;
      EXPECT_THAT(slots(a), testing::Contains(target));
      EXPECT_THAT(slots(b), testing::Contains(target));
      EXPECT_THAT(slots(united), testing::Contains(target));
      EXPECT_EQ(united.find(5) != nullptr, one != State::kSteady);
      EXPECT_EQ(united.find(6) != nullptr, two != State::kSteady);
    }
  }
}

TEST(RotationUnite, WhatEitherRevokedStaysRevoked) {
  Document a = document();
  a.find(3)->revoked = true;
  a.other = 0;
  Document b = document();
  b.find(1)->revoked = true;
  Document united = unite(a, b, kNow, "s3");
  EXPECT_TRUE(united.check());
  EXPECT_TRUE(united.find(1)->revoked && united.find(3)->revoked);
  EXPECT_THAT(slots(united), ElementsAre(4));

  // Each has revoked what the other one mints with.
  b = document();
  b.find(4)->revoked = true;
  b.current = 3;
  b.other = 0;
  united = unite(a, b, kNow, "s3", [] { return key_of(99); });
  EXPECT_TRUE(united.check());
  EXPECT_EQ(united.state, State::kSteady);
  EXPECT_EQ(united.find(united.current)->key, key_of(99));
  EXPECT_EQ(united.other, 0U);
}

TEST(RotationUnite, MakesRoomAtTheOldEndOfWhatIsRetired) {
  Document a = document();
  Document b = document();
  a.find(1)->revoked = true;
  for (uint8_t number = 5; number <= 15; ++number) {
    (number % 2 == 0 ? a : b).generations.push_back(generation(number));
  }
  for (uint8_t number = 100; number <= 102; ++number) a.generations.push_back(generation(number));
  const Document united = unite(a, b, kNow, "s3");
  ASSERT_TRUE(united.check()) << united.check().error().message;
  EXPECT_EQ(united.generations.size(), size_t{TFO_MAX_GENERATIONS});
  EXPECT_TRUE(united.find(1)->revoked);
  EXPECT_EQ(united.find(2), nullptr);
  EXPECT_NE(united.find(3), nullptr);
  EXPECT_EQ(united.find(5), nullptr);
}

TEST(RotationUnite, TheSameKeyUnderTwoIdsIsOneGeneration) {
  const Document a = document();
  Document b = document();
  b.generations.back().id = 44;
  b.current = 44;
  b.generations.front().id = 11;
  b.generations.front().revoked = true;
  const Document united = unite(a, b, kNow, "s3");
  ASSERT_TRUE(united.check()) << united.check().error().message;
  EXPECT_EQ(united.generations.size(), 4U);
  EXPECT_TRUE(united.generations.front().revoked);
  EXPECT_EQ(united.state, State::kUnminting);
}

}  // namespace
}  // namespace tfo::rotation
