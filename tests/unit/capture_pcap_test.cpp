// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/support/capture_read.h"

namespace tfo::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::array kOrders = {std::endian::little, std::endian::big};
constexpr size_t kFileHeader = 24;

BuiltCapture three_frames(std::endian order, const PcapHeader& header = {}) {
  return PcapBuilder(order, header)
      .frame(1'790'000'000, 999'999, pattern(60))
      .frame(1'790'000'001, 0, pattern(54), 1514)
      .frame(UINT32_MAX, 1, pattern(61))
      .build();
}

TEST(CapturePcap, EitherOrderAndBothResolutions) {
  for (const std::endian order : kOrders) {
    for (const uint32_t magic : {kPcapMagic, kPcapNanoMagic}) {
      const BuiltCapture built = three_frames(order, {.magic = magic});
      const ReadCapture read = read_capture(built.file);
      EXPECT_EQ(read.error, "");
      EXPECT_EQ(read.format, "pcap");
      EXPECT_EQ(read.frames, built.owned_frames());
      EXPECT_EQ(read.interfaces, built.interfaces);
      const uint64_t fraction = magic == kPcapMagic ? 999'999'000 : 999'999;
      ASSERT_EQ(read.frames.size(), 3u);
      EXPECT_EQ(read.frames[0].time_ns, 1'790'000'000'000'000'000 + fraction);
      EXPECT_EQ(read.frames[1].wire_length, 1514u);
    }
  }
}

TEST(CapturePcap, StampsBeyondTheirSecondAddUp) {
  const BuiltCapture built =
      PcapBuilder(std::endian::big).frame(UINT32_MAX, UINT32_MAX, pattern(60)).build();
  const ReadCapture read = read_capture(built.file);
  ASSERT_EQ(read.frames.size(), 1u);
  EXPECT_EQ(read.frames[0].time_ns, 4'294'967'295'000'000'000 + 4'294'967'295'000);
}

TEST(CapturePcap, ChecksumBitsAreNoPartOfTheLinkType) {
  const BuiltCapture built = three_frames(std::endian::little, {.network = 0x24000071});
  const ReadCapture read = read_capture(built.file);
  ASSERT_EQ(read.interfaces.size(), 1u);
  EXPECT_EQ(read.interfaces[0].link_type, kLinkCooked);
  EXPECT_EQ(read.frames.size(), 3u);
}

TEST(CapturePcap, FramesOfEverySizeUpToTheLargest) {
  PcapBuilder builder(std::endian::little);
  for (const size_t size : {0u, 1u, 65'535u, 262'144u, 262'143u, 262'144u, 0u}) {
    builder.frame(1, 2, pattern(size));
  }
  builder.frame(1, 2, pattern(60), 20);  // fewer bytes on the wire than captured
  const BuiltCapture built = builder.build();
  const ReadCapture read = read_capture(built.file);
  EXPECT_EQ(read.error, "");
  EXPECT_EQ(read.frames, built.owned_frames());
  EXPECT_EQ(read.frames.back().wire_length, 60u);
}

TEST(CapturePcap, FileThatEndsAnywhereGivesItsWholeFramesAndSaysWhere) {
  for (const std::endian order : kOrders) {
    const BuiltCapture built = three_frames(order);
    for (size_t size = 4; size < built.file.size(); ++size) {
      const ReadCapture read = read_capture(View(built.file).first(size));
      size_t whole = 0;
      size_t begin = kFileHeader;
      while (built.frames[whole].end <= size) begin = built.frames[whole++].end;
      ASSERT_EQ(read.frames.size(), whole) << size;
      for (size_t i = 0; i < whole; ++i) ASSERT_EQ(read.frames[i], built.frames[i].frame);
      const bool clean = size == begin && size >= kFileHeader;
      const std::string where =
          size < kFileHeader
              ? fmt::format("test capture: ends at byte {}, within the file header of 24 bytes",
                            size)
              : fmt::format(
                    "test capture: ends at byte {}, within frame {}, which begins at byte {}", size,
                    whole + 1, begin);
      ASSERT_EQ(read.error, clean ? "" : where) << size;
    }
  }
}

TEST(CapturePcap, DamagedHeadersAreRefused) {
  for (const std::endian order : kOrders) {
    EXPECT_THAT(capture_error(three_frames(order, {.major = 1}).file), HasSubstr("version 1.4"));
    EXPECT_THAT(capture_error(three_frames(order, {.minor = 3}).file), HasSubstr("version 2.3"));
    BuiltCapture built = three_frames(order);
    FileBytes length(order);
    length.u32(262'145);
    std::copy(length.bytes().begin(), length.bytes().end(),
              built.file.begin() + static_cast<ptrdiff_t>(built.records[1].begin + 8));
    const ReadCapture read = read_capture(built.file);
    EXPECT_EQ(read.frames.size(), 1u);
    EXPECT_THAT(read.error, AllOf(HasSubstr("frame 2 at byte 100 says that 262145 bytes"),
                                  HasSubstr("at most 262144")));
  }
}

}  // namespace
}  // namespace tfo::test
