// SPDX-License-Identifier: BSD-2-Clause
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/support/options.h"

namespace tfo::test {
namespace {

TEST(TestOptions, ASeedIsPrintedAndMayBeGiven) {
  const char* before = std::getenv("TFO_TEST_SEED");
  const std::string kept = before != nullptr ? before : "";
  setenv("TFO_TEST_SEED", "4711", 1);
  testing::internal::CaptureStdout();
  EXPECT_EQ(test_seed(), 4711U);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "TFO_TEST_SEED=4711\n");
  if (before != nullptr) {
    setenv("TFO_TEST_SEED", kept.c_str(), 1);
  } else {
    unsetenv("TFO_TEST_SEED");
  }
}

}  // namespace
}  // namespace tfo::test
