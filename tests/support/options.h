// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string_view>

namespace tfo::test {

/// The long forms of tests that have one (`tests/run --full`).
inline bool full() {
  const char* text = std::getenv("TFO_TEST_FULL");
  return text != nullptr && std::string_view(text) == "1";
}

/// What the environment variable TFO_TEST_SEED says, else a new seed; printed, so that a run can be
/// repeated.
inline uint64_t test_seed() {
  const char* text = std::getenv("TFO_TEST_SEED");
  const uint64_t seed =
      text != nullptr ? std::strtoull(text, nullptr, 0) : uint64_t{std::random_device{}()};
  std::printf("TFO_TEST_SEED=%lu\n", seed);
  return seed;
}

}  // namespace tfo::test
