// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "bpf/vip_hash.h"
#include "loader/dataplane/private_load.h"
#include "loader/dataplane/vip_table.h"
#include "tests/support/packet.h"

namespace tfo::test {
namespace {

/// 198.18.0.0/15 and 2001:db8::/32, one address and port each.
std::vector<VipConfig> many_vips(size_t count) {
  std::vector<VipConfig> vips;
  for (size_t i = 0; i < count; ++i) {
    VipConfig vip{.name = "vip" + std::to_string(i), .addresses = {{}}, .ports = {}, .pool = "web"};
    auto& address = vip.addresses[0];
    const auto host = htonl(static_cast<uint32_t>(0xc6120000U + i));
    if (i % 2 == 0) {
      address[10] = address[11] = 0xff;
      std::memcpy(&address[12], &host, 4);
    } else {
      address = {0x20, 0x01, 0x0d, 0xb8};
      std::memcpy(&address[12], &host, 4);
    }
    if (i % 3 != 0) vip.ports = {static_cast<uint16_t>(1 + i)};
    vips.push_back(vip);
  }
  return vips;
}

std::vector<tfo_vip> rows_of(const std::vector<VipConfig>& vips) {
  std::vector<tfo_vip> rows;
  for (const auto& vip : vips) {
    tfo_vip row{};
    std::memcpy(row.address, vip.addresses[0].data(), sizeof(row.address));
    row.port = vip.ports.empty() ? 0 : htons(vip.ports[0]);
    row.slot = static_cast<uint16_t>(1 + rows.size());
    row.flags = TFO_VIP_USED;
    rows.push_back(row);
  }
  return rows;
}

/// As bpf/vip.h looks for it.
bool found(const std::vector<tfo_vip>& table, const tfo_vip& wanted, const __u64 seed[2]) {
  tfo_vip_key key{};
  std::memcpy(&key.high, wanted.address, 8);
  std::memcpy(&key.low, wanted.address + 8, 8);
  key.port = wanted.port;
  const uint64_t hash = tfo_vip_hash(&key, seed);
  const auto mask = static_cast<uint32_t>(table.size() - 1);
  for (const uint32_t row :
       {static_cast<uint32_t>(hash) & mask, static_cast<uint32_t>(hash >> 32) & mask}) {
    if (std::memcmp(&table[row], &wanted, sizeof(wanted)) == 0) return true;
  }
  return false;
}

TEST(DataplaneVipTable, AThirdFullTakesEveryEntry) {
  const auto rows = rows_of(many_vips(5461));
  std::mt19937_64 random(7413);
  for (int round = 0; round < 50; ++round) {
    const __u64 seed[2] = {random(), random()};
    const auto table = place_vips(rows, seed, 16383);
    ASSERT_TRUE(table) << "seed " << seed[0] << " " << seed[1];
    size_t used = 0;
    for (const auto& row : *table) used += row.flags == TFO_VIP_USED ? 1 : 0;
    ASSERT_EQ(used, rows.size());
    for (const auto& row : rows) ASSERT_TRUE(found(*table, row, seed));
  }
}

TEST(DataplaneVipTable, SaysThatATableIsTooSmall) {
  const __u64 seed[2] = {1, 2};
  EXPECT_FALSE(place_vips(rows_of(many_vips(65)), seed, 63));
  EXPECT_FALSE(place_vips(rows_of(many_vips(64)), seed, 63));
  EXPECT_TRUE(place_vips({}, seed, 63));
}

TEST(DataplaneVipTable, TheProgramFindsEachOf4096Vips) {
  const auto vips = many_vips(4096);
  auto load = PrivateLoad::load({}, MapSizes::for_config(vips.size(), vips.size()));
  ASSERT_TRUE(load) << load.error().message;
  auto set = load->set_vips(vips);
  ASSERT_TRUE(set) << set.error().message;
  for (size_t i = 0; i < vips.size(); ++i) {
    Address to{.v6 = i % 2 != 0, .bytes = vips[i].addresses[0]};
    if (!to.v6) std::memcpy(to.bytes.data(), &vips[i].addresses[0][12], 4);
    const Address from = Address::of(to.v6 ? "2001:db8:f::1" : "192.0.2.1");
    const uint16_t port = vips[i].ports.empty() ? 9 : vips[i].ports[0];
    ASSERT_TRUE(load->run(Packet::syn(from, to).ports(1024, port).frame()));
  }
  const auto counted = load->counters();
  ASSERT_TRUE(counted);
  EXPECT_EQ(packet_total(counted->node), 0U);
  for (const auto& vip : counted->vips) {
    ASSERT_EQ(reason_total(vip.counters, TFO_PLAIN), 1U) << vip.name;
    ASSERT_EQ(vip.counters.action[TFO_PASS], 1U);
  }
}

TEST(DataplaneVipTable, RefusesTwoOwnersOfOneAddress) {
  auto load = PrivateLoad::load({});
  ASSERT_TRUE(load) << load.error().message;
  auto vips = many_vips(1);
  vips.push_back(vips[0]);
  vips[1].name = "twin";
  const auto set = load->set_vips(vips);
  ASSERT_FALSE(set);
  EXPECT_NE(set.error().message.find("\"vip0\" and \"twin\" both claim address 198.18.0.0"),
            std::string::npos)
      << set.error().message;
}

}  // namespace
}  // namespace tfo::test
