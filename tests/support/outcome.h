// SPDX-License-Identifier: BSD-2-Clause
// Asserting on Result<>: that it is a value, or that its error names what it must.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "loader/result.h"

#define ASSERT_OK(expression)                                               \
  do {                                                                      \
    const auto& result_ = (expression);                                     \
    ASSERT_TRUE(result_) << #expression << ": " << result_.error().message; \
  } while (false)

namespace tfo::test {

/// It failed, and its message has all these parts.
inline void expect_error(const Result<>& result, const std::vector<std::string>& parts) {
  ASSERT_FALSE(result);
  for (const auto& part : parts) {
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
  }
}

}  // namespace tfo::test
