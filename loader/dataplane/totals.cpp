// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>
#include <cstring>

#include "loader/dataplane/live_set.h"

namespace tfo {
namespace {

constexpr uint32_t kChunk = 128;

void add_raw(tfo_counters& sum, const uint8_t* raw, size_t size) {
  tfo_counters one{};
  std::memcpy(&one, raw, std::min(size, sizeof(one)));
  add_counters(sum, one);
}

}  // namespace

Result<std::vector<tfo_counters>> read_totals(const Map& stats, const Map* base, uint32_t count) {
  const size_t size = stats.shape().value_size;
  const size_t stride = stats.raw_size() / possible_cpus();
  std::vector<tfo_counters> totals(count);
  std::vector<uint8_t> raw(kChunk * stats.raw_size());
  for (uint32_t first = 0; first < count; first += kChunk) {
    const uint32_t n = std::min(kChunk, count - first);
    auto read = stats.read_range(first, n, raw.data());
    if (!read) return tl::unexpected(read.error());
    for (size_t i = 0; i < size_t{n} * possible_cpus(); ++i) {
      add_raw(totals[first + i / possible_cpus()], raw.data() + i * stride, size);
    }
    if (base == nullptr) continue;
    read = base->read_range(first, n, raw.data());
    if (!read) return tl::unexpected(read.error());
    for (uint32_t i = 0; i < n; ++i) {
      add_raw(totals[first + i], raw.data() + i * base->raw_size(), base->raw_size());
    }
  }
  return totals;
}

}  // namespace tfo
