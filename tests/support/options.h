// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdlib>
#include <string_view>

namespace tfo::test {

/// The long forms of tests that have one (`tests/run --full`).
inline bool full() {
  const char* text = std::getenv("TFO_TEST_FULL");
  return text != nullptr && std::string_view(text) == "1";
}

}  // namespace tfo::test
