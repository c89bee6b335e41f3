// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "loader/capture/link.h"
#include "tests/support/bytes.h"

namespace tfo::test {
namespace {

constexpr char kMacs[] = "000000000000 000000000000";

struct LinkCase {
  const char* name;
  uint32_t link_type;
  std::string header;  // hex, as captured
  std::string payload;
  std::string ethertype;
  Direction direction = Direction::kUnknown;
};

/// Every packet type of the two cooked headers.
void add_directions(std::vector<LinkCase>& cases) {
  constexpr std::array kDirections = {Direction::kIn,     Direction::kIn,  Direction::kIn,
                                      Direction::kIn,     Direction::kOut, Direction::kUnknown,
                                      Direction::kUnknown};
  for (size_t type = 0; type < kDirections.size(); ++type) {
    const std::string digit = std::to_string(type);
    cases.push_back({"SLL", 113, "000" + digit + " 0304 0006 0102030405060000 0800", "45aa", "0800",
                     kDirections[type]});
    cases.push_back({"SLL2", 276, "86dd 0000 00000002 0304 0" + digit + " 06 0102030405060000",
                     "60aa", "86dd", kDirections[type]});
  }
}

std::vector<LinkCase> link_cases() {
  std::vector<LinkCase> cases = {
      {"LOOP, IPv4", 108, "00000002", "45aa", "0800"},
      {"LOOP, IPv6", 108, "00000018", "60aa", "86dd"},
      {"LOOP, turned round", 108, "02000000", "45aa", "0000"},
      {"LOOP, unknown family", 108, "00000007", "45aa", "0000"},
      {"NULL, half of a family", 0, "00020000", "45aa", "0000"},
      {"NULL, unknown family", 0, "07000000", "45aa", "0000"},
      {"RAW, IPv4", 101, "", "45aa", "0800"},
      {"RAW, IPv6", 101, "", "6faa", "86dd"},
      {"RAW, neither", 101, "", "55aa", "0000"},
      {"RAW, one byte", 101, "", "4f", "0800"},
      {"RAW of BSD", 12, "", "45aa", "0800"},
      {"RAW of OpenBSD", 14, "", "60aa", "86dd"},
      {"IPv4, whatever it says", 228, "", "60aa", "0800"},
      {"IPv4, nothing of it", 228, "", "", "0800"},
      {"IPv6, whatever it says", 229, "", "45aa", "86dd"},
      {"SLL, a tag", 113, "0000 0001 0006 0102030405060000 8100", "0007080045", "8100",
       Direction::kIn},
      {"SLL, 802.2", 113, "0001 0001 0006 0102030405060000 0004", "aaaa03", "0004", Direction::kIn},
      {"SLL2, a tag", 276, "8100 0000 00000002 0001 00 06 0102030405060000", "0007080045", "8100",
       Direction::kIn},
  };
  for (const char* family : {"0000000a", "00000018", "0000001c", "0000001e", "0a000000", "18000000",
                             "1c000000", "1e000000"}) {
    cases.push_back({"NULL, IPv6", 0, family, "60aa", "86dd"});
  }
  cases.push_back({"NULL, IPv4, big", 0, "00000002", "45aa", "0800"});
  cases.push_back({"NULL, IPv4, little", 0, "02000000", "45aa", "0800"});
  add_directions(cases);
  return cases;
}

TEST(CaptureLink, HeadersBecomeEthernetAndComeBack) {
  LinkShaper shaper;
  for (const LinkCase& each : link_cases()) {
    const Bytes header = from_hex(each.header);
    const Bytes payload = from_hex(each.payload);
    const Bytes bytes = join({header, payload});
    const CapturedFrame frame{.wire_length = 1000, .bytes = bytes};
    const auto shaped = shaper.shape(each.link_type, frame);
    ASSERT_TRUE(shaped) << each.name;
    EXPECT_EQ(to_hex(shaped->bytes), to_hex(from_hex(kMacs + each.ethertype + each.payload)))
        << each.name;
    EXPECT_EQ(shaped->cut, header.size()) << each.name;
    EXPECT_EQ(shaped->made, 14u) << each.name;
    EXPECT_EQ(shaped->wire_length, 1000 - header.size() + 14) << each.name;
    EXPECT_EQ(shaped->direction, each.direction) << each.name << " " << each.header;

    Bytes rewritten(shaped->bytes.begin(), shaped->bytes.end());
    rewritten.push_back(0x77);
    rewritten[0] ^= 1;  // the header that was made is not to be seen
    const Bytes want = join({header, payload, Bytes{0x77}});
    EXPECT_EQ(to_hex(shaper.restore(frame, *shaped, rewritten)), to_hex(want)) << each.name;
  }
}

TEST(CaptureLink, EthernetStaysWhereItIs) {
  LinkShaper shaper;
  const Bytes bytes = pattern(60);
  const CapturedFrame frame{.wire_length = 90, .bytes = bytes};
  const auto shaped = shaper.shape(kLinkEthernet, frame);
  ASSERT_TRUE(shaped);
  EXPECT_EQ(shaped->bytes.data(), bytes.data());
  EXPECT_EQ(shaped->bytes.size(), 60u);
  EXPECT_EQ(shaped->wire_length, 90u);
  EXPECT_EQ(shaped->cut + shaped->made, 0u);
  const Bytes rewritten = pattern(50);
  EXPECT_EQ(shaper.restore(frame, *shaped, rewritten).data(), rewritten.data());
}

TEST(CaptureLink, FramesWithoutAHeaderHaveNoShape) {
  LinkShaper shaper;
  const Bytes bytes = pattern(20);
  for (const auto& [type, header] : {std::pair{0u, 4u},
                                     {1u, 14u},
                                     {12u, 1u},
                                     {101u, 1u},
                                     {108u, 4u},
                                     {113u, 16u},
                                     {276u, 20u}}) {
    const CapturedFrame enough{.wire_length = 60, .bytes = View(bytes).first(header)};
    const CapturedFrame few{.wire_length = 60, .bytes = View(bytes).first(header - 1)};
    EXPECT_TRUE(shaper.shape(type, enough)) << type;
    EXPECT_FALSE(shaper.shape(type, few)) << type;
  }
  EXPECT_FALSE(shaper.shape(147, {.wire_length = 60, .bytes = bytes}));
}

TEST(CaptureLink, DirectionOfFlagsUnlessTheHeaderSaysIt) {
  LinkShaper shaper;
  const Bytes bytes = pattern(60);
  const Bytes outgoing = from_hex("0004 0001 0006 0102030405060000 0800");
  const Bytes other = from_hex("0007 0001 0006 0102030405060000 0800");
  const auto direction = [&](uint32_t type, const Bytes& from, std::optional<uint32_t> flags) {
    const auto shaped = shaper.shape(type, {.wire_length = 60, .bytes = from, .flags = flags});
    return shaped ? shaped->direction : Direction::kUnknown;
  };
  EXPECT_EQ(direction(1, bytes, {}), Direction::kUnknown);
  EXPECT_EQ(direction(1, bytes, 0), Direction::kUnknown);
  EXPECT_EQ(direction(1, bytes, 3), Direction::kUnknown);
  EXPECT_EQ(direction(1, bytes, 0xfffffffd), Direction::kIn);
  EXPECT_EQ(direction(1, bytes, 0xfffffffe), Direction::kOut);
  EXPECT_EQ(direction(113, outgoing, 1), Direction::kOut);
  EXPECT_EQ(direction(113, other, 1), Direction::kIn);
}

TEST(CaptureLink, WireLengthStaysInItsRange) {
  LinkShaper shaper;
  const Bytes bytes = from_hex("45000000");
  const auto shaped = shaper.shape(kLinkRaw, {.wire_length = UINT32_MAX, .bytes = bytes});
  ASSERT_TRUE(shaped);
  EXPECT_EQ(shaped->wire_length, UINT32_MAX);
}

TEST(CaptureLink, ShortFrameAfterALongOne) {
  LinkShaper shaper;
  const Bytes large = pattern(2000);
  const Bytes small = from_hex("45aabb");
  ASSERT_TRUE(shaper.shape(kLinkRaw, {.wire_length = 2000, .bytes = large}));
  const auto shaped = shaper.shape(kLinkRaw, {.wire_length = 3, .bytes = small});
  ASSERT_TRUE(shaped);
  EXPECT_EQ(to_hex(shaped->bytes), to_hex(from_hex(std::string(kMacs) + "0800 45aabb")));
}

TEST(CaptureLink, Names) {
  EXPECT_EQ(LinkShaper::name(1), "Ethernet");
  EXPECT_EQ(LinkShaper::name(113), "Linux cooked v1");
  EXPECT_EQ(LinkShaper::name(276), "Linux cooked v2");
  EXPECT_EQ(LinkShaper::name(147), "link type 147");
  EXPECT_TRUE(LinkShaper::knows(14));
  EXPECT_FALSE(LinkShaper::knows(13));
}

}  // namespace
}  // namespace tfo::test
