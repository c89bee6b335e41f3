// SPDX-License-Identifier: BSD-2-Clause
// Files that are no captures, pipes, and how much memory reading takes.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <string>
#include <thread>

#include "tests/support/capture_read.h"
#include "tests/support/capture_sample.h"
#include "tests/support/sandbox.h"

namespace tfo::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Pipe {
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
    read = Fd(ends[0]);
    write = Fd(ends[1]);
  }
  Fd read;
  Fd write;
};

void write_all(int fd, View bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    ASSERT_GT(written, 0);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

Bytes bytes_of(std::string_view text) { return Bytes(text.begin(), text.end()); }

std::string open_error(const std::string& path) {
  const auto reader = CaptureReader::open(path);
  return reader ? "opened" : reader.error().message;
}

TEST(CaptureReader, WhatIsNoCaptureIsNamed) {
  const CaptureDirectory directory;
  const auto error = [&](std::string_view bytes) {
    return open_error(directory.write("x", bytes_of(bytes)));
  };
  const std::string path = directory.file("x");
  using std::string_view_literals::operator""sv;
  EXPECT_EQ(error(""), path + ": is empty; a capture has at least a file header");
  EXPECT_EQ(
      error("\x1f\x8b\x08\0\0\0\0\0"sv),
      path + ": is compressed with gzip: decompress it, `zcat " + path + " | tfoctl replay -`");
  EXPECT_THAT(error("\x28\xb5\x2f\xfd\x04\0"sv), HasSubstr("zstd: decompress it, `zstdcat "));
  EXPECT_THAT(error("\xfd"
                    "7zXZ"),
              HasSubstr("xz: decompress it, `xzcat "));
  EXPECT_THAT(error("BZh91AY&SY"), HasSubstr("bzip2: decompress it, `bzcat "));
  EXPECT_THAT(error("\x04\x22\x4d\x18"), HasSubstr("lz4: decompress it, `lz4cat "));
  EXPECT_THAT(error("\xa1\xb2\xcd\x34"), HasSubstr("`editcap -F pcap " + path + " NEW`"));
  EXPECT_THAT(error("\x34\xcd\xb2\xa1"), HasSubstr("modified form"));
  EXPECT_THAT(error("snoop\0\0\0"sv), HasSubstr("`editcap -F pcapng " + path + " NEW`"));
  EXPECT_THAT(error("16:34:01.5 IP 192.0.2.1.40000 > 192.0.2.10.443: Flags [S]\n"),
              HasSubstr("is text, not a capture; `tcpdump -w FILE` writes one"));
  EXPECT_THAT(error("ab"), HasSubstr("is text"));
  EXPECT_THAT(error("\xd4\xc3\xb2"),
              HasSubstr("neither pcap nor pcapng, it begins with d4 c3 b2;"));
  EXPECT_THAT(error("\x7f"
                    "ELF\2\1"),
              HasSubstr("it begins with 7f 45 4c 46; `editcap"));
}

TEST(CaptureReader, WhatCannotBeOpenedIsNamed) {
  const CaptureDirectory directory;
  EXPECT_EQ(open_error(directory.path()),
            directory.path().string() + ": is a directory; name a capture file in it");
  EXPECT_EQ(open_error(directory.file("none")),
            "cannot open " + directory.file("none") + ": No such file or directory");
  EXPECT_THAT(open_error("/proc/self/mem"), HasSubstr("/proc/self/mem: cannot read it: "));
}

TEST(CaptureReader, SaysHowFarItIs) {
  const BuiltCapture built = sample_capture(1, {});
  const CaptureDirectory directory;
  auto reader = CaptureReader::open(directory.write("x", built.file));
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_EQ(reader->file_size(), built.file.size());
  for (const BuiltFrame& frame : built.frames) {
    const auto next = reader->next();
    ASSERT_TRUE(next && next->has_value());
    EXPECT_EQ(reader->bytes_read(), frame.end);
  }
  const auto end = reader->next();
  EXPECT_TRUE(end && !end->has_value());
  EXPECT_EQ(reader->bytes_read(), built.file.size());
}

TEST(CaptureReader, EndIsTheEndEvenOfAFileThatGrows) {
  const BuiltCapture built = sample_capture(8, {.frames = 2});
  const Fd file(memory_file(View(built.file).first(built.frames[0].end)));
  auto reader = CaptureReader::adopt(dup(file.get()), "growing");
  ASSERT_TRUE(reader) << reader.error().message;
  ASSERT_TRUE(reader->next()->has_value());
  ASSERT_FALSE(reader->next()->has_value());
  const View rest = View(built.file).subspan(built.frames[0].end);
  ASSERT_EQ(pwrite(file.get(), rest.data(), rest.size(), static_cast<off_t>(built.frames[0].end)),
            static_cast<ssize_t>(rest.size()));
  const auto next = reader->next();
  ASSERT_TRUE(next);
  EXPECT_FALSE(next->has_value());
}

TEST(CaptureReader, BeginsWhereTheDescriptorStands) {
  const BuiltCapture built = sample_capture(2, {});
  Bytes file = bytes_of("a line before\n");
  const size_t before = file.size();
  file.insert(file.end(), built.file.begin(), built.file.end());
  const int fd = memory_file(file);
  ASSERT_EQ(lseek(fd, static_cast<off_t>(before), SEEK_SET), static_cast<off_t>(before));
  auto reader = CaptureReader::adopt(fd, "rest");
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_EQ(reader->file_size(), built.file.size());
  EXPECT_EQ(read_to_end(std::move(*reader), file.size()).frames, built.owned_frames());
}

TEST(CaptureReader, PipeThatBringsOneByteAtATime) {
  for (const bool pcapng : {false, true}) {
    const BuiltCapture built = sample_capture(3, {.pcapng = pcapng});
    Pipe pipe;
    std::thread writer([&] {
      for (const uint8_t& byte : built.file) write_all(pipe.write.get(), View(&byte, 1));
      pipe.write.reset();
    });
    auto reader = CaptureReader::adopt(dup(pipe.read.get()), "pipe");
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_EQ(reader->file_size(), std::nullopt);
    const ReadCapture read = read_to_end(std::move(*reader), built.file.size());
    writer.join();
    EXPECT_EQ(read.error, "");
    EXPECT_EQ(read.frames, built.owned_frames());
  }
}

TEST(CaptureReader, FrameOfASilentPipeIsThereAtOnce) {
  const BuiltCapture built = sample_capture(4, {});
  Pipe pipe;
  write_all(pipe.write.get(), View(built.file).first(built.frames[0].end));
  auto reader = CaptureReader::adopt(dup(pipe.read.get()), "pipe");
  ASSERT_TRUE(reader) << reader.error().message;
  const auto frame = reader->next();  // would never return if it wanted more
  ASSERT_TRUE(frame && frame->has_value());
  EXPECT_EQ((*frame)->time_ns, built.frames[0].frame.time_ns);
}

TEST(CaptureReader, StandardInput) {
  const BuiltCapture built = sample_capture(5, {});
  const Fd saved(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  const Fd file(memory_file(built.file));
  ASSERT_EQ(dup2(file.get(), STDIN_FILENO), STDIN_FILENO);
  auto reader = CaptureReader::open("-");
  EXPECT_TRUE(reader);
  if (reader) {
    EXPECT_EQ(read_to_end(std::move(*reader), built.file.size()).frames, built.owned_frames());
  }
  EXPECT_THAT(open_error("-"), HasSubstr("standard input: is empty"));
  EXPECT_NE(fcntl(STDIN_FILENO, F_GETFD), -1) << "standard input was closed";
  EXPECT_EQ(dup2(saved.get(), STDIN_FILENO), STDIN_FILENO);
}

std::atomic<int> signals_seen = 0;
static_assert(std::atomic<int>::is_always_lock_free);
void count_signal(int) { ++signals_seen; }

TEST(CaptureReader, SignalsDoNotEndIt) {
  struct sigaction action{};
  action.sa_handler = count_signal;  // without SA_RESTART: read() fails with EINTR
  struct sigaction before{};
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  const BuiltCapture built = sample_capture(6, {});
  Pipe pipe;
  const pthread_t self = pthread_self();
  const std::string stat = "/proc/self/task/" + std::to_string(syscall(SYS_gettid)) + "/stat";
  const auto asleep = [&] {
    std::string line;
    std::getline(std::ifstream(stat), line);
    return line.find(") S ") != std::string::npos;
  };
  std::thread writer([&] {
    for (size_t at = 0; at < built.file.size(); at += 100) {
      EXPECT_TRUE(wait_until(asleep));
      // Nothing to read before the signal was handled, or read() would return that.
      const int before_it = signals_seen;
      pthread_kill(self, SIGUSR1);
      EXPECT_TRUE(wait_until([&] { return signals_seen > before_it; }));
      const View rest = View(built.file).subspan(at);
      write_all(pipe.write.get(), rest.first(std::min<size_t>(rest.size(), 100)));
    }
    pipe.write.reset();
  });
  auto reader = CaptureReader::adopt(dup(pipe.read.get()), "pipe");
  const ReadCapture read =
      reader ? read_to_end(std::move(*reader), built.file.size()) : ReadCapture{};
  writer.join();
  sigaction(SIGUSR1, &before, nullptr);
  EXPECT_EQ(read.error, "");
  EXPECT_EQ(read.frames, built.owned_frames());
}

/// kB of VmRSS or VmHWM.
size_t memory_kb(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::stoul(line.substr(field.size() + 1));
  }
  return 0;
}

/// By how much the process was larger at its largest while `work` ran.
template <class Work>
size_t peak_growth_kb(Work work) {
  EXPECT_TRUE(std::ofstream("/proc/self/clear_refs") << "5" << std::flush);
  const size_t before = memory_kb("VmRSS");
  work();
  const size_t peak = memory_kb("VmHWM");
  EXPECT_GT(before, 0u);
  return peak > before ? peak - before : 0;
}

TEST(CaptureReader, MemoryIsThatOfTheLongestBlock) {
  PcapngBuilder builder;
  builder.section(std::endian::little).interface({});
  for (int i = 0; i < 300; ++i) builder.packet({.bytes = Bytes(200'000)});
  const BuiltCapture built = builder.block(0x7777, Bytes(30'000'000)).build();
  size_t frames = 0;
  const size_t grown = peak_growth_kb([&] {
    auto reader = CaptureReader::adopt(memory_file(built.file), "large");
    ASSERT_TRUE(reader);
    for (auto next = reader->next(); next && next->has_value(); next = reader->next()) ++frames;
  });
  EXPECT_EQ(frames, 300u);
  EXPECT_LT(grown, 4096u) << "kB, of a file of 90 MB";
}

TEST(CaptureReader, LengthsThatLieCostNoMemory) {
  const BuiltCapture small = sample_capture(7, {.frames = 1});
  Bytes file = small.file;
  FileBytes block(std::endian::little);
  block.u32(6).u32(16'777'216).raw(Bytes(300'000));  // the first buffer does not hold it
  file.insert(file.end(), block.bytes().begin(), block.bytes().end());
  std::string error;
  const size_t grown = peak_growth_kb([&] { error = capture_error(file); });
  EXPECT_THAT(error, AllOf(HasSubstr("ends at byte"), HasSubstr("within frame 2")));
  EXPECT_LT(grown, 4096u);
}

}  // namespace
}  // namespace tfo::test
