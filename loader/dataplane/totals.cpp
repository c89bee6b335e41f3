// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/totals.h"

#include <algorithm>
#include <cstring>
#include <future>
#include <thread>

namespace tfo {
namespace {

constexpr size_t kBuffer = 1U << 20;  // bytes that are read at once: they stay in the cache
constexpr size_t kShare = 2U << 20;   // bytes that are worth a thread
constexpr size_t kMostThreads = 8;

void add_raw(uint64_t* sum, const uint8_t* raw, size_t words) {
  for (size_t i = 0; i < words; ++i) {
    uint64_t one = 0;
    std::memcpy(&one, raw + i * sizeof(one), sizeof(one));
    sum[i] += one;
  }
}

/// Where and how counters are added up.
struct Sum {
  const Map& stats;
  const Map* base;
  size_t words;
  uint64_t* totals;
};

Result<> add_slots(const Sum& sum, uint32_t begin, uint32_t end) {
  const size_t cpus = possible_cpus();
  const size_t stride = sum.stats.raw_size() / cpus;
  const size_t known = std::min(sum.words, sum.stats.shape().value_size / sizeof(uint64_t));
  const size_t base_size = sum.base == nullptr ? 0 : sum.base->raw_size();
  const auto chunk = static_cast<uint32_t>(std::max<size_t>(1, kBuffer / sum.stats.raw_size()));
  std::vector<uint8_t> raw(chunk * std::max(sum.stats.raw_size(), base_size));
  for (uint32_t first = begin; first < end; first += chunk) {
    const uint32_t n = std::min(chunk, end - first);
    auto read = sum.stats.read_range(first, n, raw.data());
    if (!read) return read;
    for (size_t i = 0; i < n * cpus; ++i) {
      add_raw(sum.totals + (first + i / cpus) * sum.words, raw.data() + i * stride, known);
    }
    if (sum.base == nullptr) continue;
    read = sum.base->read_range(first, n, raw.data());
    if (!read) return read;
    for (uint32_t i = 0; i < n; ++i) {
      add_raw(sum.totals + (first + i) * sum.words, raw.data() + i * base_size,
              std::min(sum.words, base_size / sizeof(uint64_t)));
    }
  }
  return {};
}

}  // namespace

/// A machine with many CPUs has much to read, and threads to read it.
Result<> add_words(const Map& stats, const Map* base, uint32_t count, size_t words,
                   uint64_t* totals) {
  const Sum sum{stats, base, words, totals};
  const size_t worth = count * stats.raw_size() / kShare;
  const size_t most = std::min<size_t>(kMostThreads, std::thread::hardware_concurrency());
  const auto others = static_cast<uint32_t>(std::max<size_t>(1, std::min(worth, most)) - 1);
  const uint32_t share = count / (others + 1);
  std::vector<std::future<Result<>>> parts;
  parts.reserve(others);
  for (uint32_t i = 0; i < others; ++i) {
    parts.push_back(
        std::async([&sum, i, share] { return add_slots(sum, i * share, (i + 1) * share); }));
  }
  Result<> done = add_slots(sum, others * share, count);
  for (auto& part : parts) {
    if (auto other = part.get(); !other) done = std::move(other);
  }
  return done;
}

}  // namespace tfo
