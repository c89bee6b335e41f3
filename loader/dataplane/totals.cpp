// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/totals.h"

#include <algorithm>
#include <cstring>

namespace tfo {
namespace {

constexpr uint32_t kChunk = 128;

void add_raw(uint64_t* sum, const uint8_t* raw, size_t words) {
  for (size_t i = 0; i < words; ++i) {
    uint64_t one = 0;
    std::memcpy(&one, raw + i * sizeof(one), sizeof(one));
    sum[i] += one;
  }
}

}  // namespace

Result<> add_words(const Map& stats, const Map* base, uint32_t count, size_t words,
                   uint64_t* totals) {
  const size_t stride = stats.raw_size() / possible_cpus();
  const size_t known = std::min(words, stats.shape().value_size / sizeof(uint64_t));
  std::vector<uint8_t> raw(kChunk * stats.raw_size());
  for (uint32_t first = 0; first < count; first += kChunk) {
    const uint32_t n = std::min(kChunk, count - first);
    auto read = stats.read_range(first, n, raw.data());
    if (!read) return read;
    for (size_t i = 0; i < size_t{n} * possible_cpus(); ++i) {
      add_raw(totals + (first + i / possible_cpus()) * words, raw.data() + i * stride, known);
    }
    if (base == nullptr) continue;
    const size_t size = base->raw_size();
    raw.resize(std::max(raw.size(), kChunk * size));
    read = base->read_range(first, n, raw.data());
    if (!read) return read;
    for (uint32_t i = 0; i < n; ++i) {
      add_raw(totals + (first + i) * words, raw.data() + i * size,
              std::min(words, size / sizeof(uint64_t)));
    }
  }
  return {};
}

}  // namespace tfo
