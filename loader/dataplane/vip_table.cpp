// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/vip_table.h"

#include <array>
#include <cstring>
#include <utility>

#include "bpf/vip_hash.h"

namespace tfo {
namespace {

constexpr uint32_t kEmpty = UINT32_MAX;

std::array<uint32_t, 2> rows_of(const tfo_vip& vip, const __u64 seed[2], uint32_t mask) {
  tfo_vip_key key{};
  std::memcpy(&key.high, vip.address, sizeof(key.high));
  std::memcpy(&key.low, vip.address + sizeof(key.high), sizeof(key.low));
  key.port = vip.port;
  const uint64_t hash = tfo_vip_hash(&key, seed);
  return {static_cast<uint32_t>(hash) & mask, static_cast<uint32_t>(hash >> 32) & mask};
}

}  // namespace

std::optional<std::vector<tfo_vip>> place_vips(std::span<const tfo_vip> entries,
                                               const __u64 seed[2], uint32_t mask) {
  std::vector<std::array<uint32_t, 2>> choices;
  choices.reserve(entries.size());
  for (const auto& entry : entries) choices.push_back(rows_of(entry, seed, mask));

  std::vector<uint32_t> owner(size_t{mask} + 1, kEmpty);
  for (uint32_t i = 0; i < entries.size(); ++i) {
    uint32_t homeless = i;
    uint32_t row = owner[choices[i][0]] == kEmpty ? choices[i][0] : choices[i][1];
    // Each turn moves one entry to its other row. A chain longer than all entries is a circle.
    for (size_t turns = 0; homeless != kEmpty; ++turns) {
      if (turns > 2 * entries.size() + 2) return std::nullopt;
      std::swap(homeless, owner[row]);
      if (homeless != kEmpty) row = choices[homeless][choices[homeless][0] == row ? 1 : 0];
    }
  }
  std::vector<tfo_vip> rows(owner.size());
  for (size_t row = 0; row < owner.size(); ++row) {
    if (owner[row] != kEmpty) rows[row] = entries[owner[row]];
  }
  return rows;
}

}  // namespace tfo
