// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/redact.h"

#include <gtest/gtest.h>

#include "loader/keys/key.h"

namespace tfo {
namespace {

constexpr char kText[] = "00112233-44556677-8899aabb-ccddeeff";

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

TEST(Redact, TakesOutEveryFormOfAKey) {
  for (const std::string& key :
       {std::string(kText), upper(kText), std::string("00112233445566778899aabbccddeeff"),
        std::string("0x00112233445566778899AABBCCDDEEFF"), std::string("aa7766554433221100"),
        std::string("77665544AABBCCDD"), std::string("0011223344556677-8899aabbccddeeff"),
        std::string("0011223344556677 8899aabbccddeeff"),
        std::string("00112233 44556677 8899aabb ccddeeff"),
        std::string("00112233:44556677:8899aabb:ccddeeff"),
        std::string("00112233_44556677_8899aabb_ccddeeff"), std::string("key") + kText}) {
    EXPECT_EQ(without_keys(key), "<key>");
    EXPECT_EQ(without_keys("'" + key + "' is no name; 1"), "'<key>' is no name; 1");
    EXPECT_EQ(without_keys("a, " + key), "a, <key>");
    EXPECT_TRUE(looks_like_key(key));
  }
  EXPECT_EQ(without_keys(std::string(kText) + "," + kText), "<key>,<key>");
}

TEST(Redact, TakesOutAKeyWithASlip) {
  const std::string key = kText;
  for (size_t at = 0; at < key.size(); at++) {
    for (const char c : {'g', 'x', 'Z', '5', '-'}) {
      std::string flipped = key;
      flipped[at] = c;
      const std::string clean = without_keys(flipped);
      EXPECT_LE(clean.size(), std::string("00112233--<key>").size()) << flipped << " -> " << clean;
    }
    EXPECT_EQ(without_keys(std::string(key).erase(at, 1)), "<key>");
    EXPECT_EQ(without_keys(std::string(key).insert(at, 1, '0')), "<key>");
  }
}

TEST(Redact, TakesOutHalvesOfAKeyThatStandTogether) {
  const std::string half = "0011223344556677", other = "8899aabbccddeeff";
  for (const std::string between : {",", ", ", "=", "\"", "\",\"", "\", \"", "\": \"", "', '", ";",
                                    "|", ")(", "\n", "\t", "  ", " = ", "+"}) {
    EXPECT_EQ(without_keys(half + between + other).find(other), std::string::npos) << between;
    EXPECT_TRUE(looks_like_key(half + between + other)) << between;
    EXPECT_EQ(without_keys("[\"" + half + between + other + "\"]").find(half), std::string::npos);
  }
  EXPECT_EQ(without_keys(half + "," + other + "," + half + " is it"), "<key> is it");
  for (const std::string between : {" and ", " (fingerprint 1a2b3c4d), ", " revoked, "}) {
    EXPECT_EQ(without_keys(half + between + other), half + between + other);
  }
}

TEST(Redact, TakesOutPaddedBase64) {
  for (const std::string text :
       {"ABEiM0RVZneImaq7zN3u/w==", "ABEiM0RVZneImaq7zN3u_w==", "BEiM0RVZneImaq7zN3u/w==",
        "/+EiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=",
        "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgHiJkLmNoPq="}) {
    EXPECT_EQ(without_keys(text), "<key>");
    EXPECT_EQ(without_keys("secret " + text + ": there is no such file"),
              "secret <key>: there is no such file");
    EXPECT_EQ(without_keys("--secret=" + text), "--secret=<key>");
    EXPECT_TRUE(looks_like_key(text));
  }
}

TEST(Redact, LeavesWhatIsNoKey) {
  for (const char* text : {"",
                           "-",
                           "a",
                           "key 1a2b3c4d is revoked",
                           "holds 1a2b3c4d,5e6f7a8b instead of 1a2b3c4d,no",
                           "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff is no unicast address",
                           "192.0.2.10",
                           "revoked 1122334455667788, current is 99aabbccddeeff00",
                           "there is no generation 0123456789abcdef",
                           "netns tfo-f419430-1a2b3c4d-s1: gone",
                           "02:00:00:aa:bb:cc",
                           "2026-11-21T11:19:21Z",
                           "01234567-89ab-cdef-0123-456789abcdef",
                           "web-01234567-89ab-cdef-0123-456789abcdef-80",
                           "/var/lib/tfoguard/web.keys.new",
                           "beef-decade-facade.example.org",
                           "\"16777216\" is no port",
                           "\xff\xfe",
                           "/usr/local/share/tfoguard/interfaces",
                           "--a-very-long-option-with-many-words=5",
                           "an=equals=sign",
                           "web====="}) {
    EXPECT_EQ(without_keys(text), text);
    EXPECT_FALSE(looks_like_key(text));
  }
}

TEST(Redact, KeepsFingerprintsOfRandomKeys) {
  for (int i = 0; i < 100; i++) {
    const Key key = Key::random();
    EXPECT_EQ(without_keys(key.text().view()), "<key>");
    EXPECT_EQ(without_keys(key.fingerprint()), key.fingerprint());
  }
}

}  // namespace
}  // namespace tfo
