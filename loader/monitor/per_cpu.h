// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "loader/dataplane/map.h"
#include "loader/result.h"

namespace tfo {

/// Adds each counter of `more`; T has nothing else.
template <class T>
void add(T& sum, const T& more) {
  auto* to = reinterpret_cast<uint64_t*>(&sum);
  const auto* from = reinterpret_cast<const uint64_t*>(&more);
  for (size_t i = 0; i < sizeof(T) / sizeof(uint64_t); i++) to[i] += from[i];
}

/// The sum of one entry of a per-CPU map, whose values are counters alone.
template <class T>
Result<T> sum_of(const Map& map, uint32_t index) {
  std::vector<T> values(map.raw_size() / sizeof(T));
  if (auto read = map.read(index, values.data()); !read) return tl::unexpected(read.error());
  T sum{};
  for (const T& value : values) add(sum, value);
  return sum;
}

}  // namespace tfo
