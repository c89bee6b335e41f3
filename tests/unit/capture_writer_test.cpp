// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "loader/capture/writer.h"
#include "tests/support/capture_read.h"

namespace tfo::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class CaptureWriterTest : public testing::Test {
 protected:
  std::string path(const std::string& name = "out.pcapng") const { return directory_.file(name); }
  static CaptureWriter create(const std::string& path) {
    auto writer = CaptureWriter::create(path, "test");
    EXPECT_TRUE(writer) << writer.error().message;
    return std::move(*writer);
  }
  static std::string create_error(const std::string& path) {
    const auto writer = CaptureWriter::create(path, "test");
    return writer ? "created" : writer.error().message;
  }
  /// One interface, one frame.
  static void fill(CaptureWriter& writer) {
    ASSERT_TRUE(writer.add_interface({}));
    ASSERT_TRUE(writer.add({.number = 1, .time_ns = 5}, pattern(60), "comment"));
  }
  static std::string content(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  static ReadCapture read(const std::string& path) {
    auto reader = CaptureReader::open(path);
    if (!reader)
      return {.frames = {}, .interfaces = {}, .format = {}, .error = reader.error().message};
    const size_t size = reader->file_size().value_or(0);
    return read_to_end(std::move(*reader), size);
  }
  static mode_t mode_of(const std::string& path) {
    struct stat info{};
    EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
  }

  CaptureDirectory directory_;
};

TEST_F(CaptureWriterTest, WritesWhatItIsGiven) {
  CaptureWriter writer = create(path());
  ASSERT_TRUE(writer.add_interface({kLinkCooked2, 96, "any"}));
  CapturedFrame frame{.number = 9, .time_ns = UINT64_MAX, .wire_length = 1514, .flags = 0x80000002};
  ASSERT_TRUE(writer.add(frame, pattern(61), ""));
  ASSERT_TRUE(writer.add_interface({kLinkRaw, 0, ""}));
  ASSERT_TRUE(writer.add({.interface = 1, .wire_length = 3}, pattern(7), "renew"));
  ASSERT_TRUE(writer.add({.interface = 0}, {}, ""));
  ASSERT_TRUE(writer.add({.interface = 1, .wire_length = 300'000}, pattern(262'144), "x"));
  ASSERT_TRUE(writer.commit());
  const ReadCapture got = read(path());
  EXPECT_EQ(got.error, "");
  const std::vector<OwnedFrame> want = {{1, UINT64_MAX, 0, 1514, pattern(61), 0x80000002},
                                        {2, 0, 1, 7, pattern(7), {}},
                                        {3, 0, 0, 0, {}, {}},
                                        {4, 0, 1, 300'000, pattern(262'144), {}}};
  EXPECT_EQ(got.frames, want);
  EXPECT_THAT(got.interfaces, ElementsAre(CaptureInterface{kLinkCooked2, 96, "any"},
                                          CaptureInterface{kLinkRaw, 0, ""}));
  EXPECT_THAT(directory_.names(), ElementsAre("out.pcapng"));
}

TEST_F(CaptureWriterTest, FieldsStandWhereTheyBelong) {
  CaptureWriter writer = create(path());
  ASSERT_TRUE(writer.add_interface({}));
  ASSERT_TRUE(writer.add({.wire_length = 3}, pattern(300'000), ""));
  ASSERT_TRUE(writer.commit());
  const std::string file = content(path());
  constexpr size_t kFrame = 40 + 32;  // behind the section with a name, and the interface
  ASSERT_EQ(file.size(), kFrame + 32 + 300'000);
  const auto field = [&](size_t at) {
    uint32_t value = 0;
    std::memcpy(&value, file.data() + kFrame + at, sizeof(value));
    return value;
  };
  EXPECT_EQ(field(0), 6u);
  EXPECT_EQ(field(4), 300'032u);
  EXPECT_EQ(field(20), 300'000u);
  EXPECT_EQ(field(24), 300'000u) << "a wire length below what was captured";
  EXPECT_EQ(field(28 + 300'000), 300'032u);
  const Bytes want = pattern(300'000);
  EXPECT_TRUE(std::equal(want.begin(), want.end(), file.begin() + kFrame + 28));
}

TEST_F(CaptureWriterTest, WhatStoodThereStaysUntilCommit) {
  directory_.write("out.pcapng", Bytes{'o', 'l', 'd'});
  {
    CaptureWriter writer = create(path());
    fill(writer);
    EXPECT_EQ(content(path()), "old");
    EXPECT_EQ(directory_.names().size(), 2u);
  }
  EXPECT_EQ(content(path()), "old");
  EXPECT_THAT(directory_.names(), ElementsAre("out.pcapng"));
  CaptureWriter writer = create(path());
  fill(writer);
  ASSERT_TRUE(writer.commit());
  EXPECT_EQ(read(path()).frames.size(), 1u);
  EXPECT_THAT(directory_.names(), ElementsAre("out.pcapng"));
}

TEST_F(CaptureWriterTest, NothingIsLeftOfAWriterThatWasMovedAway) {
  {
    CaptureWriter writer = create(path("a"));
    CaptureWriter other = create(path("b"));
    other = std::move(writer);
    EXPECT_EQ(directory_.names().size(), 1u);
    fill(other);
  }
  EXPECT_THAT(directory_.names(), IsEmpty());
}

TEST_F(CaptureWriterTest, SeveralWritersOfOneFile) {
  CaptureWriter first = create(path());
  CaptureWriter second = create(path());
  fill(first);
  ASSERT_TRUE(second.add_interface({.name = "second"}));
  ASSERT_TRUE(first.commit());
  ASSERT_TRUE(second.commit());
  EXPECT_EQ(read(path()).interfaces.at(0).name, "second");
  // A later one may get the temporary name that the first had.
  std::optional<CaptureWriter> early(create(path("early")));
  ASSERT_TRUE(early->commit());
  CaptureWriter late = create(path("early"));
  fill(late);
  early.reset();
  ASSERT_TRUE(late.commit());
  EXPECT_EQ(read(path("early")).frames.size(), 1u);
}

TEST_F(CaptureWriterTest, ModesAreThoseOfTheFileBeforeOrOfTheUmask) {
  const mode_t before = umask(027);
  CaptureWriter fresh = create(path("new"));
  umask(before);
  ASSERT_TRUE(fresh.commit());
  EXPECT_EQ(mode_of(path("new")), 0640u);
  directory_.write("old", {});
  ASSERT_EQ(chmod(path("old").c_str(), 0604), 0);
  CaptureWriter writer = create(path("old"));
  ASSERT_TRUE(writer.commit());
  EXPECT_EQ(mode_of(path("old")), 0604u);
}

TEST_F(CaptureWriterTest, SymbolicLinkStays) {
  ASSERT_TRUE(fs::create_directory(path("elsewhere")));
  directory_.write("elsewhere/real", {});
  fs::create_symlink("elsewhere/real", path("link"));
  CaptureWriter writer = create(path("link"));
  fill(writer);
  ASSERT_TRUE(writer.commit());
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(read(path("elsewhere/real")).frames.size(), 1u);
  fs::create_symlink("nowhere", path("dangling"));
  EXPECT_EQ(
      create_error(path("dangling")),
      "cannot write " + path("dangling") + ": it is a symbolic link that leads nowhere; remove it");
}

TEST_F(CaptureWriterTest, PlacesThatCannotBeWrittenAreNamed) {
  EXPECT_EQ(create_error(path("none/out")), "cannot write " + path("none/out") +
                                                ": there is no directory " + path("none") +
                                                "; create it");
  EXPECT_EQ(create_error(directory_.path()), "cannot write " + directory_.path().string() +
                                                 ": it is a directory; name a file in it");
  EXPECT_THAT(create_error("/dev/null"), HasSubstr("/dev/null: it is not a regular file"));
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_THAT(create_error(path("fifo")), HasSubstr("it is not a regular file"));
  directory_.write("file", {});
  EXPECT_THAT(create_error(path("file/out")),
              HasSubstr("cannot create a file in " + path("file") + ": Not a directory"));
  EXPECT_THAT(create_error(path(std::string(250, 'x'))), HasSubstr("File name too long"));
  EXPECT_THAT(create_error(""), HasSubstr("without a name"));
}

TEST_F(CaptureWriterTest, FramesOfUnknownInterfacesAreRefused) {
  CaptureWriter writer = create(path());
  const auto none = writer.add({.number = 3}, pattern(60), "");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message, "frame 3 is of interface 0, only 0 were added");
  const auto wide = writer.add_interface({.link_type = 65'536});
  ASSERT_FALSE(wide);
  EXPECT_THAT(wide.error().message, StartsWith("link type 65536 does not fit"));
  // Nothing of either is in the file.
  fill(writer);
  ASSERT_TRUE(writer.commit());
  EXPECT_EQ(read(path()).frames.size(), 1u);
}

/// Files of this process end after so many bytes, as on a full disk.
class SizeLimit {
 public:
  explicit SizeLimit(rlim_t bytes) {
    EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &before_), 0);
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  SizeLimit(const SizeLimit&) = delete;
  SizeLimit& operator=(const SizeLimit&) = delete;
  ~SizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit before_{};
  void (*old_handler_)(int) = nullptr;
};

TEST_F(CaptureWriterTest, FullDiskIsSaidAndTheFileDoesNotAppear) {
  directory_.write("out.pcapng", Bytes{'o', 'l', 'd'});
  {
    CaptureWriter writer = create(path());
    ASSERT_TRUE(writer.add_interface({}));
    {
      const SizeLimit limit(1'000'000);
      Result<> done;
      int frames = 0;
      for (; done && frames < 1000; ++frames) done = writer.add({}, pattern(10'000), "");
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().message, "cannot write " + path() + ": File too large");
      EXPECT_LT(frames, 130);
    }
    // There is room again, but the file has a hole.
    const auto more = writer.commit();
    ASSERT_FALSE(more);
    EXPECT_THAT(more.error().message, HasSubstr("an earlier part of it is missing"));
  }
  EXPECT_EQ(content(path()), "old");
  EXPECT_THAT(directory_.names(), ElementsAre("out.pcapng"));
}

TEST_F(CaptureWriterTest, FullDiskAtTheEndIsSaidToo) {
  {
    CaptureWriter writer = create(path());
    fill(writer);
    const SizeLimit limit(100);
    const auto done = writer.commit();
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().message, "cannot write " + path() + ": File too large");
  }
  EXPECT_THAT(directory_.names(), IsEmpty());
}

TEST_F(CaptureWriterTest, LongCommentsEndWithAWholeCharacter) {
  CaptureWriter writer = create(path());
  ASSERT_TRUE(writer.add_interface({}));
  std::string comment = "xxx";
  for (int i = 0; i < 20'000; ++i) comment += "\xe2\x82\xac\xc3\xa9";  // 5 bytes, two characters
  ASSERT_TRUE(writer.add({}, pattern(60), comment));
  ASSERT_TRUE(writer.commit());
  EXPECT_EQ(read(path()).frames.size(), 1u);
  // 65,535 bytes would end within the last one.
  const std::string file = content(path());
  EXPECT_NE(file.find(comment.substr(0, 65'533)), std::string::npos);
  EXPECT_EQ(file.find(comment.substr(0, 65'534)), std::string::npos);
}

}  // namespace
}  // namespace tfo::test
