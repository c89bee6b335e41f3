// SPDX-License-Identifier: BSD-2-Clause
// The installed program itself: exit codes as a shell sees them, and nothing but one JSON document
// on standard output.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

namespace {

using nlohmann::json;

struct Ran {
  int code;
  std::string out;
};

/// Runs a shell command line in which TFOCTL stands for the program.
Ran shell(std::string line) {
  const std::string program = TFO_BIN_DIR "/tfoctl";
  for (size_t at; (at = line.find("TFOCTL")) != std::string::npos;) line.replace(at, 6, program);
  FILE* pipe = popen(line.c_str(), "r");
  if (pipe == nullptr) return {-1, ""};
  std::string out;
  std::array<char, 4096> buffer{};
  while (const size_t got = fread(buffer.data(), 1, buffer.size(), pipe)) {
    out.append(buffer.data(), got);
  }
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, out};
}

TEST(TfoctlBinary, ExitCodes) {
  const std::string flow = "--key a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4 192.0.2.1 192.168.0.1";
  EXPECT_EQ(shell("TFOCTL cookie check " + flow + " 3021b9d889017eeb").code, 0);
  EXPECT_EQ(shell("TFOCTL cookie check " + flow + " 3021b9d889017eec 2>/dev/null").code, 1);
  EXPECT_EQ(shell("TFOCTL cookie check " + flow + " 3021 2>/dev/null").code, 2);
  EXPECT_EQ(shell("TFOCTL 2>/dev/null").code, 2);
  EXPECT_EQ(shell("TFOCTL --help").code, 0);
  EXPECT_EQ(shell("TFOCTL --socket /nonexistent status 2>/dev/null").code, 2);
}

TEST(TfoctlBinary, AnswersGoToStandardOutputAndMessagesDoNot) {
  const Ran make = shell(
      "echo 00112233-44556677-8899aabb-ccddeeff | "
      "TFOCTL cookie make --key-file - 10.88.0.9 10.88.0.1 2>/dev/null");
  EXPECT_EQ(make.out, "c733c9377af1c52f\n");
  EXPECT_EQ(shell("TFOCTL -j --socket /nonexistent status 2>/dev/null").out, "");
  const Ran none = shell(
      "TFOCTL -j cookie check --key a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4 ::1 ::2 "
      "3021b9d889017eeb 2>&1");
  EXPECT_EQ(json::parse(none.out)["match"], false);
}

TEST(TfoctlBinary, ALostReaderIsAFailure) {
  EXPECT_EQ(shell("TFOCTL cookie make --key a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4 ::1 ::2 "
                  "> /dev/full")
                .code,
            2);
}

TEST(TfoctlBinary, CookieNeedsNoRoot) {
  if (shell("runuser -u nobody -- true 2>/dev/null").code != 0) {
    GTEST_SKIP() << "cannot become nobody here";
  }
  // The build tree may be closed to others, so the program is handed over as an open file.
  const Ran ran = shell(
      "exec 9< TFOCTL; runuser -u nobody -- /proc/self/fd/9 cookie make "
      "--key a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4 192.0.2.1 192.168.0.1");
  EXPECT_EQ(ran.out, "3021b9d889017eeb\n");
}

}  // namespace
