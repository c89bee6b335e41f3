// SPDX-License-Identifier: BSD-2-Clause
// The two rows of an entry must not depend on each other for the addresses that people configure:
// runs of neighbours. A pair of rows holds two entries, so three that share one have no place.
#include "bpf/vip_hash.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <set>
#include <utility>

namespace {

constexpr uint32_t kEntries = 4096;
constexpr uint32_t kMask = 16383;

using Bytes = std::array<uint8_t, 16>;

Bytes v4(uint32_t address) {
  Bytes bytes{};
  bytes[10] = bytes[11] = 0xff;
  address = htonl(address);
  std::memcpy(&bytes[12], &address, sizeof(address));
  return bytes;
}

Bytes v6(uint32_t network, uint32_t host) {
  Bytes bytes = {0x20, 0x01, 0x0d, 0xb8};
  network = htonl(network);
  host = htonl(host);
  std::memcpy(&bytes[4], &network, sizeof(network));
  std::memcpy(&bytes[12], &host, sizeof(host));
  return bytes;
}

tfo_vip_key key_of(const Bytes& address, uint32_t port) {
  tfo_vip_key key{};
  std::memcpy(&key.high, address.data(), 8);
  std::memcpy(&key.low, address.data() + 8, 8);
  key.port = htons(static_cast<uint16_t>(port));
  return key;
}

/// Entries of `make` whose pair of rows another one has already, averaged over seeds. Chance alone
/// gives n * n / 2 pairs out of rows * rows / 2: 0.06.
double shared_pairs(const std::function<tfo_vip_key(uint32_t)>& make) {
  constexpr int kSeeds = 20;
  std::mt19937_64 random(1);
  size_t shared = 0;
  for (int i = 0; i < kSeeds; i++) {
    const __u64 seed[2] = {random(), random()};
    std::set<std::pair<uint32_t, uint32_t>> pairs;
    for (uint32_t entry = 0; entry < kEntries; entry++) {
      const tfo_vip_key key = make(entry);
      const uint64_t hash = tfo_vip_hash(&key, seed);
      const auto first = static_cast<uint32_t>(hash) & kMask;
      const auto second = static_cast<uint32_t>(hash >> 32) & kMask;
      pairs.insert(std::minmax(first, second));
    }
    shared += kEntries - pairs.size();
  }
  return static_cast<double>(shared) / kSeeds;
}

TEST(VipHash, NeighbouringAddressesHaveRowsOfTheirOwn) {
  EXPECT_LT(shared_pairs([](uint32_t i) { return key_of(v4(0x0a000000 + i), 443); }), 1);
  EXPECT_LT(shared_pairs([](uint32_t i) { return key_of(v4(0x0a000000 + i * 256), 443); }), 1);
  EXPECT_LT(shared_pairs([](uint32_t i) { return key_of(v6(0, i), 443); }), 1);
  EXPECT_LT(shared_pairs([](uint32_t i) { return key_of(v6(i, 1), 443); }), 1);
  EXPECT_LT(shared_pairs([](uint32_t i) { return key_of(v6(i / 64, i % 64), 443); }), 1);
}

TEST(VipHash, PortsHaveRowsOfTheirOwn) {
  EXPECT_LT(shared_pairs([](uint32_t i) { return key_of(v4(0x0a000001), i); }), 1);
  EXPECT_LT(shared_pairs([](uint32_t i) { return key_of(v4(0x0a000000 + i / 2), i % 2 * 80); }), 1);
  EXPECT_LT(shared_pairs([](uint32_t i) { return key_of(v6(i / 2, 1), 80 + i % 2); }), 1);
}

}  // namespace
