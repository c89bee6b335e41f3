// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/key.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sodium.h>

#include <string>
#include <vector>

#include "loader/keys/ring.h"

namespace tfo {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kText[] = "00112233-44556677-8899aabb-ccddeeff";

/// SipHash-2-4 of source and destination under the key's bytes, by libsodium: 16 hex digits.
std::string cookie(const Key& key, int family, const char* source, const char* destination) {
  const size_t size = family == AF_INET ? 4 : 16;
  std::vector<uint8_t> message(2 * size);
  inet_pton(family, source, message.data());
  inet_pton(family, destination, message.data() + size);
  std::array<uint8_t, crypto_shorthash_siphash24_BYTES> hash{};
  crypto_shorthash_siphash24(hash.data(), message.data(), message.size(), key.bytes().data());
  std::array<char, 2 * hash.size() + 1> hex{};
  return sodium_bin2hex(hex.data(), hex.size(), hash.data(), hash.size());
}

TEST(KeyText, StoresEachWordLittleEndianAsTheKernelDoes) {
  const auto key = Key::parse(kText);
  ASSERT_TRUE(key);
  const Key::Bytes expected = {0x33, 0x22, 0x11, 0x00, 0x77, 0x66, 0x55, 0x44,
                               0xbb, 0xaa, 0x99, 0x88, 0xff, 0xee, 0xdd, 0xcc};
  EXPECT_EQ(key->bytes(), expected);
  EXPECT_EQ(key->k0(), 0x4455667700112233U);
  EXPECT_EQ(key->k1(), 0xccddeeff8899aabbU);
}

TEST(KeyText, MakesTheCookiesThatTheKernelMakes) {
  struct Row {
    const char* key;
    int family;
    const char* source;
    const char* destination;
    const char* cookie;
  };
  const std::vector<Row> rows = {
      {"a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4", AF_INET, "192.0.2.1", "192.168.0.1",
       "3021b9d889017eeb"},
      {"a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4", AF_INET6, "fd3d:fa7b:d17d::1", "fd3d:a0b:17d6::1",
       "c1d1e9742a47a9bc"},
      {"00000000-00000000-00000000-00000000", AF_INET, "192.0.2.1", "192.168.0.1",
       "b7c12350a90dc8f5"},
      {"00000000-00000000-00000000-00000000", AF_INET6, "fd3d:fa7b:d17d::1", "fd3d:a0b:17d6::1",
       "82af1a8f9a205c34"},
      {"a0bf63f7-ed803d81-cd641d30-cebc4a90", AF_INET, "192.0.2.1", "192.168.0.1",
       "f49b0ef989d9f624"},
      {"a0bf63f7-ed803d81-cd641d30-cebc4a90", AF_INET6, "fd3d:fa7b:d17d::1", "fd3d:a0b:17d6::1",
       "792f542eed8979b8"},
      {kText, AF_INET, "10.88.0.9", "10.88.0.1", "c733c9377af1c52f"},
      {kText, AF_INET6, "fd88::9", "fd88::1", "6c1052c41e70cfb4"},
      {"0f1e2d3c-4b5a6978-8796a5b4-c3d2e1f0", AF_INET, "10.88.0.9", "10.88.0.1",
       "4000f1a98367a91e"},
  };
  for (const Row& row : rows) {
    const auto key = Key::parse(row.key);
    ASSERT_TRUE(key) << row.key;
    EXPECT_EQ(cookie(*key, row.family, row.source, row.destination), row.cookie) << row.key;
  }
}

TEST(KeyText, RoundTripsInLowerCase) {
  EXPECT_EQ(Key::parse(kText)->text().view(), kText);
  EXPECT_EQ(Key::parse("00112233-44556677-8899AABB-CCDDEEFF")->text().view(), kText);
  const Key random = Key::random();
  EXPECT_EQ(*Key::parse(random.text().view()), random);
}

/// Everything below is taken by the kernel, mostly as another key.
TEST(KeyText, RefusesWhatTheKernelTakesButMisreads) {
  for (const std::string text : {
           "",
           "112233-44556677-8899aabb-ccddeeff",
           "0x112233-44556677-8899aabb-ccddeeff",
           " 00112233-44556677-8899aabb-ccddeeff",
           "00112233-44556677-8899aabb-ccddeeff\n",
           "00112233-44556677-8899aabb-ccddeeffjunk",
           "000112233-4455667-78899aabb-ccddeeff",
           "00112233+44556677-8899aabb-ccddeeff",
           "00112233-44556677-8899aabb-ccddeefg",
           "00112233-44556677-8899aabb",
           "-0112233-44556677-8899aabb-ccddeeff",
       }) {
    const auto key = Key::parse(text);
    ASSERT_FALSE(key) << text;
    EXPECT_THAT(key.error().message, HasSubstr("xxxxxxxx-xxxxxxxx-xxxxxxxx-xxxxxxxx"));
    if (text.size() > 8) {
      EXPECT_THAT(key.error().message, Not(HasSubstr(text.substr(text.size() - 8)))) << "a secret";
    }
  }
}

TEST(KeyText, ListNamesTheBadOne) {
  const std::string two = std::string(kText) + ",0f1e2d3c-4b5a6978-8796a5b4-c3d2e1f0";
  const auto keys = Key::parse_list(two);
  ASSERT_TRUE(keys);
  ASSERT_EQ(keys->size(), 2U);
  EXPECT_EQ(keys->at(1).text().view(), "0f1e2d3c-4b5a6978-8796a5b4-c3d2e1f0");
  EXPECT_THAT(Key::parse_list(two + ",").error().message, HasSubstr("key 3"));
  EXPECT_THAT(Key::parse_list("").error().message, HasSubstr("key 1"));
}

TEST(Key, FingerprintTellsKeysApartAndIsStable) {
  const Key key = *Key::parse(kText);
  EXPECT_EQ(key.fingerprint(), "2c6bdd96");
  EXPECT_NE(key.fingerprint(), Key::random().fingerprint());
  EXPECT_THAT(std::string(kText), Not(HasSubstr(key.fingerprint())));
}

TEST(Key, RandomKeysDiffer) {
  EXPECT_FALSE(Key::random().is_zero());
  EXPECT_FALSE(Key::random() == Key::random());
  EXPECT_TRUE(Key().is_zero());
}

TEST(Key, WipesItselfAndItsText) {
  alignas(Key) std::array<uint8_t, sizeof(Key)> place{};
  Key* key = new (place.data()) Key(Key::random());
  ASSERT_FALSE(sodium_is_zero(place.data(), place.size()));
  key->~Key();
  EXPECT_TRUE(sodium_is_zero(place.data(), place.size()));

  Secret secret = Key::random().text();
  const char* bytes = secret.view().data();
  const size_t size = secret.view().size();
  secret.wipe();
  EXPECT_TRUE(secret.view().empty());
  EXPECT_TRUE(sodium_is_zero(reinterpret_cast<const uint8_t*>(bytes), size));
}

Generation generation(uint64_t id, tfo_place place) {
  return {.id = id, .key = Key::random(), .place = place, .created_at = 1, .not_after = 0};
}

TEST(KeyRing, SysctlValueFollowsThePhase) {
  KeyRing ring;
  EXPECT_TRUE(ring.sysctl_value().view().empty());
  ring.generations = {generation(1, TFO_PLACE_CURRENT)};
  const std::string current = ring.current()->key.text().str();
  EXPECT_EQ(ring.sysctl_value().view(), current);

  ring.generations.push_back(generation(2, TFO_PLACE_PREVIOUS));
  ring.generations.push_back(generation(3, TFO_PLACE_STAGED));
  ASSERT_TRUE(ring.check());
  const std::string previous = ring.previous()->key.text().str();
  const std::string staged = ring.staged()->key.text().str();
  ring.phase = Phase::prepare;
  EXPECT_EQ(ring.sysctl_value().view(), current + "," + previous);
  ring.phase = Phase::staged;
  EXPECT_EQ(ring.sysctl_value().view(), current + "," + staged);
  EXPECT_EQ(ring.sysctl_value().view().size(), 71U);
}

TEST(KeyRing, CheckSaysWhatIsWrong) {
  KeyRing ring;
  EXPECT_THAT(ring.check().error().message, HasSubstr("0 current"));
  ring.generations = {generation(1, TFO_PLACE_CURRENT), generation(2, TFO_PLACE_CURRENT)};
  EXPECT_THAT(ring.check().error().message, HasSubstr("2 current"));
  ring.generations = {generation(1, TFO_PLACE_RETIRED), generation(2, TFO_PLACE_CURRENT)};
  EXPECT_THAT(ring.check().error().message, HasSubstr("order"));
  ring.sort();
  EXPECT_TRUE(ring.check());

  ring.generations[1].key = ring.generations[0].key;
  EXPECT_THAT(ring.check().error().message, HasSubstr("twice"));
  ring.generations[1].key = Key();
  EXPECT_THAT(ring.check().error().message, HasSubstr("all-zero key is refused"));
  ring.generations[1] = generation(2, TFO_PLACE_RETIRED);
  EXPECT_THAT(ring.check().error().message, HasSubstr("id"));

  ring.generations = {generation(1, TFO_PLACE_CURRENT)};
  for (uint64_t id = 2; id <= TFO_MAX_GENERATIONS; ++id) {
    ring.generations.push_back(generation(id, TFO_PLACE_RETIRED));
  }
  EXPECT_TRUE(ring.check());
  ring.generations.push_back(generation(99, TFO_PLACE_RETIRED));
  EXPECT_THAT(ring.check().error().message, HasSubstr("at most 16"));
}

TEST(KeyRing, NamesAreReadBack) {
  for (const Phase phase : {Phase::steady, Phase::prepare, Phase::staged, Phase::minting}) {
    EXPECT_EQ(phase_from(to_string(phase)), phase);
  }
  for (const tfo_place place : {TFO_PLACE_CURRENT, TFO_PLACE_PREVIOUS, TFO_PLACE_STAGED,
                                TFO_PLACE_RETIRED, TFO_PLACE_REVOKED}) {
    EXPECT_EQ(place_from(to_string(place)), place);
  }
  EXPECT_FALSE(phase_from("other"));
  EXPECT_EQ(id_text(0xabc), "0000000000000abc");
}

}  // namespace
}  // namespace tfo
