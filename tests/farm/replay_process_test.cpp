// SPDX-License-Identifier: BSD-2-Clause
// `tfoctl replay` as a process: pipes, signals, a full disk, and tshark on what it writes.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/capture_read.h"
#include "tests/support/replay_judge.h"

namespace tfo::test {
namespace {

using nlohmann::json;

class ReplayProcess : public testing::Test {
 protected:
  std::string capture(uint32_t link_type = kLinkEthernet) const {
    return directory_.write("sorts.pcapng", capture_of(replay_sorts(link_type), link_type));
  }
  CaptureDirectory directory_;
};

/// What a program prints, and its exit status.
std::pair<std::string, int> output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {"popen", -1};
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof(buffer), pipe)) text.append(buffer, n);
  const int status = pclose(pipe);
  return {text, WIFEXITED(status) ? WEXITSTATUS(status) : -1};
}

TEST_F(ReplayProcess, ReadsAPipe) {
  const auto [text, status] = output_of(
      fmt::format("cat {} | {}/tfoctl -j replay - --key {}", capture(), TFO_BIN_DIR, kReplayKeys));
  EXPECT_EQ(status, 0);
  EXPECT_EQ(json::parse(text)["frames"], 10);
}

/// tshark reads what --out writes: the frames byte by byte, the comments, right checksums.
TEST_F(ReplayProcess, OutIsReadByTsharkInEveryLinkType) {
  for (const uint32_t link : {kLinkEthernet, kLinkRaw, kLinkCooked, kLinkCooked2}) {
    const std::string in = capture(link);
    const std::string out = directory_.file("out.pcapng");
    const auto [said, code] = output_of(fmt::format("{}/tfoctl replay {} --key {} --out {} 2>&1",
                                                    TFO_BIN_DIR, in, kReplayKeys, out));
    ASSERT_EQ(code, 0) << said;
    const auto [text, status] =
        output_of("tshark -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -r " + out +
                  " -T fields -E separator='|' -e frame.number -e ip.checksum.status "
                  "-e tcp.checksum.status -e frame.comment 2>/dev/null");
    EXPECT_EQ(status, 0);
    EXPECT_EQ(text,
              "1|1|1|tfoguard: plain option=none data=0 pass\n"
              "2|1|1|tfoguard: request option=34 data=0 pass\n"
              "3|1|1|tfoguard: cookie_current option=34 data=1 pass\n"
              "4|1|1|tfoguard: cookie_previous option=34 data=1 pass\n"
              "5|1|1|tfoguard: cookie_invalid option=34 data=1 pass\n"
              "6|1|1|tfoguard: cookie_invalid option=34 data=1 pass\n"
              "7|1|1|tfoguard: cookie_invalid option=34 data=1 pass\n"
              "8|1|1|tfoguard: cookie_invalid option=34 data=0 pass\n"
              "9|1|1|tfoguard: data_no_option option=none data=1 pass\n"
              "10|1|1|tfoguard: other option=none data=0 pass\n")
        << link;
    auto reader = CaptureReader::open(out);
    ASSERT_TRUE(reader) << reader.error().message;
    const ReadCapture copy = read_to_end(std::move(*reader), 1 << 20);
    const std::vector<Bytes> frames = replay_sorts(link);
    ASSERT_EQ(copy.frames.size(), frames.size());
    for (size_t i = 0; i < frames.size(); i++) EXPECT_EQ(copy.frames[i].bytes, frames[i]) << i;
  }
}

/// Frames enough for several buffers of --out and of a pipe.
Bytes long_capture() { return capture_of(std::vector<Bytes>(20'000, replay_sorts().front()), 1); }

/// What stands in the directory after this shell command; "tfoctl" is the one under test.
std::string left_by(const CaptureDirectory& directory, const std::string& command) {
  const auto [text, status] =
      output_of(fmt::format("cd {} && PATH={}:$PATH && {{ {}; }} 2>&1; ls",
                            directory.path().string(), TFO_BIN_DIR, command));
  EXPECT_EQ(status, 0);
  return text;
}

TEST_F(ReplayProcess, AFullDiskIsNamedAndNothingIsLeft) {
  directory_.write("in", long_capture());
  const std::string left = left_by(
      directory_,
      "(ulimit -f 600; trap '' XFSZ; tfoctl replay in --out out >/dev/null) || echo code $?");
  EXPECT_EQ(left,
            "tfoctl: --out: cannot write out: File too large\n"
            "tfoctl: --out: cannot write out: an earlier part of it is missing\n"
            "code 2\nin\n");
}

/// A shell's words: a replay of a pipe into `out`, under way, its process $!.
constexpr const char* kUnderWay =
    "mkfifo pipe; tfoctl replay pipe --out out >/dev/null & exec 3>pipe; cat in >&3; "
    "timeout 20 sh -c 'until [ -s out.*.part ]; do sleep 0.05; done'; ";

TEST_F(ReplayProcess, WhatEndsItLeavesNoUnfinishedFile) {
  directory_.write("in", long_capture());
  EXPECT_EQ(left_by(directory_, "tfoctl replay in --frames --out out | true"), "in\n");
  for (const auto& [signal, code] : {std::pair{"TERM", 143}, {"HUP", 129}, {"INT", 130}}) {
    // The first SIGINT is not deadly.
    const std::string kill = fmt::format(
        "while grep -qs . /proc/$!/cmdline; do kill -{} $!; sleep 0.05; done; wait $!; ", signal);
    EXPECT_EQ(left_by(directory_, kUnderWay + kill + "echo code $?; rm pipe"),
              fmt::format("code {}\nin\n", code));
  }
}

/// As when Ctrl-C kills the tcpdump before the pipe in the middle of a frame.
TEST_F(ReplayProcess, AnInterruptedPipeGivesWhatItHad) {
  Bytes file = long_capture();
  file.resize(file.size() - 10);
  directory_.write("in", file);
  const std::string left =
      left_by(directory_,
              kUnderWay + std::string("kill -INT $!; exec 3>&-; wait $!; echo code $?; rm pipe"));
  EXPECT_NE(left.find("code 2\nin\nout\n"), std::string::npos) << left;
  const std::string out = directory_.file("out");
  auto reader = CaptureReader::open(out);
  ASSERT_TRUE(reader) << reader.error().message;
  const ReadCapture copy = read_to_end(std::move(*reader), std::filesystem::file_size(out));
  EXPECT_EQ(copy.frames.size(), 19'999U);
}

}  // namespace
}  // namespace tfo::test
