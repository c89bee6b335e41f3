// SPDX-License-Identifier: BSD-2-Clause
#include "loader/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tfo {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

/// What a peer answered stands in messages.
TEST(Log, OneMessageIsOneLineAndMovesNoCursor) {
  start_log("info");
  testing::internal::CaptureStderr();
  log_line(LogLevel::kInfo, "it said: evil\nerror: alert raised\r\x1b[31m\x7f");
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("it said: evil error: alert raised  [31m"));
  EXPECT_THAT(log, EndsWith("\n"));
  EXPECT_EQ(log.find('\n'), log.size() - 1);
  EXPECT_THAT(log, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace tfo
