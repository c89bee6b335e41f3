// SPDX-License-Identifier: BSD-2-Clause
// What a SYN-ACK is, and where the addresses of declared prefixes are counted, on the host.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <string>

#include "tests/support/synack_cases.h"

namespace tfo {
namespace {

tfo_vip_key key_of(const std::string& address) {
  tfo_flow flow{};
  flow.family = address.find(':') == std::string::npos ? 4 : 6;
  auto* bytes = reinterpret_cast<uint8_t*>(flow.word);
  if (flow.family == 4) {
    inet_pton(AF_INET, address.c_str(), bytes + 4);
  } else {
    inet_pton(AF_INET6, address.c_str(), bytes + 16);
  }
  tfo_vip_key key{};
  tfo_vip_key_of(&key, &flow, 0);
  return key;
}

TEST(MonitorSynAck, IsJudgedByKindFilterAndSocket) {
  for (const test::SynAckCase& one : test::kSynAckCases) {
    int says = tfo_synack_judge(one.kind, one.remembered ? 1 : 0, one.sockets ? 1 : 0);
    if (says == TFO_SYNACK_ASK) says = tfo_synack_referee(one.state);
    EXPECT_EQ(says, one.says) << one.name;
  }
}

TEST(MonitorSynAck, AClosedPortAnswersWithoutANumber) {
  EXPECT_TRUE(tfo_is_closed_port(TFO_TCP_RST | TFO_TCP_ACK, 0));
  EXPECT_TRUE(tfo_is_closed_port(TFO_TCP_RST | TFO_TCP_ACK | 0x48, 0));
  EXPECT_FALSE(tfo_is_closed_port(TFO_TCP_RST | TFO_TCP_ACK, 1));
  EXPECT_FALSE(tfo_is_closed_port(TFO_TCP_RST, 0));
  EXPECT_FALSE(tfo_is_closed_port(TFO_TCP_RST | TFO_TCP_ACK | TFO_TCP_FIN, 0));
}

TEST(MonitorCells, AnAddressHasItsPlaceInItsPrefix) {
  tfo_target target{};
  target.around_length = 96 + 22;
  target.first = 2048;
  const auto cell = [&](const std::string& address) {
    const tfo_vip_key key = key_of(address);
    return tfo_cell_of(&target, &key, address.find(':') == std::string::npos ? 4 : 6);
  };
  EXPECT_EQ(cell("10.1.4.0"), 2048U);
  EXPECT_EQ(cell("10.1.5.7"), 2048U + 256 + 7);
  EXPECT_EQ(cell("10.1.7.255"), 2048U + 1023);
  target.first = TFO_PREFIX_CELLS - 512;
  EXPECT_EQ(cell("10.1.5.255"), TFO_PREFIX_CELLS - 1);
  EXPECT_EQ(cell("10.1.6.0"), TFO_NO_CELL) << "beyond the table";
  target.first = 0;
  target.around_length = 96 + 8;
  EXPECT_EQ(cell("10.4.0.0"), TFO_NO_CELL) << "a prefix with more addresses than there are cells";
  target.around_length = 48;
  EXPECT_EQ(cell("10.0.0.1"), TFO_NO_CELL) << "no prefix of IPv4";
  target.around_length = 96 + 22;
  EXPECT_EQ(cell("2001:db8::1"), TFO_NO_CELL) << "only IPv4 addresses are counted one by one";
}

/// As the lowest bits of the /64, as far as there are counters; spread by a keyed hash beyond.
TEST(MonitorCells, ASubnetHasItsPlaceInItsPrefix) {
  tfo_target target{};
  target.first = 512 | 8U << TFO_SUBNET_SHIFT;
  const auto subnet = [&](const std::string& address, uint64_t secret = 3) {
    const tfo_vip_key key = key_of(address);
    const __u64 seed[2] = {secret, 5};
    return tfo_subnet_of(&target, &key, seed);
  };
  target.around_length = 56;
  EXPECT_EQ(subnet("2001:db8:0:100::"), 512U);
  EXPECT_EQ(subnet("2001:db8:0:1ff::9"), 512U + 255);
  target.first = TFO_SUBNETS - 1;
  target.around_length = 64;
  EXPECT_EQ(subnet("2001:db8:0:1ff::9"), TFO_SUBNETS - 1);
  target.first = 8U << TFO_SUBNET_SHIFT;
  target.around_length = 48;
  std::set<uint32_t> places;
  int moved = 0;
  for (int i = 0; i < 256; i++) {
    const std::string address = "2001:db8:0:" + std::to_string(i) + "::";
    places.insert(subnet(address));
    moved += subnet(address) != subnet(address, 7);
    EXPECT_EQ(subnet(address), subnet(address + "77"));
  }
  EXPECT_LT(*places.rbegin(), 256U);
  EXPECT_GT(places.size(), 140U);
  EXPECT_GT(moved, 200);
}

/// The bits of one window; the one before is still whole, older ones are gone.
TEST(MonitorCells, HitMapsAreOfTheirWindow) {
  tfo_hit_map map{};
  const auto count = [&](uint32_t window) {
    int bits = 0;
    for (const __u64 word : map.bank[window & 1]) {
      if (tfo_stamped(word, window)) bits += __builtin_popcountll(word & 0xffffffffffffULL);
    }
    return bits;
  };
  for (uint32_t address = 0; address < 256; address++) tfo_hit(&map, address, 10);
  EXPECT_EQ(count(10), 256);
  for (uint32_t i = 0; i < 5; i++) tfo_hit(&map, 200, 11);
  EXPECT_EQ(count(11), 1);
  EXPECT_EQ(count(10), 256);
  tfo_hit(&map, 3, 12);
  EXPECT_EQ(count(12), 1);
  EXPECT_EQ(count(10), 0 + 224) << "words that nobody wrote since keep their old stamp";
}

}  // namespace
}  // namespace tfo
