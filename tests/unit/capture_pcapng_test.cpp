// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

#include "tests/support/capture_read.h"
#include "tests/support/capture_sample.h"

namespace tfo::test::capture_pcapng_test {
namespace {

using testing::ElementsAre;

constexpr std::array kOrders = {std::endian::little, std::endian::big};

TEST(CapturePcapng, EveryPacketBlockInEitherOrder) {
  for (const std::endian order : kOrders) {
    const BuiltCapture built =
        PcapngBuilder()
            .section(order, "app")
            .interface({.link_type = 113, .snap_length = 61, .name = "eth0"})
            .interface({.link_type = 1, .snap_length = 0, .name = "", .resolution = uint8_t{9}})
            .packet({.interface = 1, .stamp = 1'790'000'000'123'456'789, .bytes = pattern(60)})
            .packet({.block = PacketBlock::kSimple, .bytes = pattern(61), .wire = 1514})
            .packet({.block = PacketBlock::kSimple, .bytes = pattern(59)})
            .packet({.block = PacketBlock::kObsolete,
                     .interface = 1,
                     .stamp = 5,
                     .bytes = pattern(3),
                     .wire = 90,
                     .flags = 2,
                     .comment = "old"})
            .packet({.stamp = 1'790'000'000'123'456,
                     .bytes = {},
                     .wire = 70,
                     .flags = 0x80000001,
                     .comment = "empty"})
            .build();
    const ReadCapture read = read_capture(built.file);
    EXPECT_EQ(read.error, "");
    EXPECT_EQ(read.format, "pcapng");
    EXPECT_EQ(read.frames, built.owned_frames());
    EXPECT_EQ(read.interfaces, built.interfaces);
    ASSERT_EQ(read.frames.size(), 5u);
    EXPECT_EQ(read.frames[0].time_ns, 1'790'000'000'123'456'789u);
    EXPECT_EQ(read.frames[1].time_ns, 0u);
    EXPECT_EQ(read.frames[1].wire_length, 1514u);
    EXPECT_EQ(read.frames[3].flags, 2u);
    EXPECT_EQ(read.frames[4].time_ns, 1'790'000'000'123'456'000u);
    EXPECT_EQ(read.frames[4].flags, 0x80000001u);
  }
}

TEST(CapturePcapng, SectionsOfDifferentOrderCountTheirInterfacesAnew) {
  PcapngBuilder builder;
  for (const std::endian order : {std::endian::big, std::endian::little, std::endian::big}) {
    builder.section(order)
        .interface({.link_type = 101, .name = "a"})
        .interface({.link_type = 276, .name = "b", .resolution = uint8_t{0}})
        .packet({.interface = 1, .stamp = 7, .bytes = pattern(30)})
        .packet({.interface = 0, .stamp = 7, .bytes = pattern(31)});
  }
  const BuiltCapture built = builder.build();
  const ReadCapture read = read_capture(built.file);
  EXPECT_EQ(read.error, "");
  EXPECT_EQ(read.frames, built.owned_frames());
  ASSERT_EQ(read.frames.size(), 6u);
  EXPECT_EQ(read.frames[4].interface, 5u);
  EXPECT_EQ(read.frames[4].time_ns, 7'000'000'000u);
  EXPECT_EQ(read.frames[5].time_ns, 7'000u);
  EXPECT_EQ(read.interfaces.size(), 6u);
}

struct StampCase {
  const char* name = "";
  std::optional<uint8_t> resolution;
  std::optional<int64_t> offset;
  uint64_t stamp = 0;
  uint64_t want = 0;
};

constexpr std::array kStampCases = {
    StampCase{"microseconds unless said", {}, {}, 1'234'567, 1'234'567'000},
    StampCase{"seconds", uint8_t{0}, {}, 3, 3'000'000'000},
    StampCase{"milliseconds", uint8_t{3}, {}, 1'234, 1'234'000'000},
    StampCase{"nanoseconds", uint8_t{9}, {}, 1'790'000'000'000'000'001, 1'790'000'000'000'000'001},
    StampCase{"picoseconds, rounded down", uint8_t{12}, {}, 1'999, 1},
    StampCase{"10^-28 s", uint8_t{28}, {}, UINT64_MAX, 1},
    StampCase{"10^-29 s", uint8_t{29}, {}, UINT64_MAX, 0},
    StampCase{"10^-127 s", uint8_t{127}, {}, UINT64_MAX, 0},
    StampCase{"2^0 s", uint8_t{0x80}, {}, 3, 3'000'000'000},
    StampCase{"2^-10 s", uint8_t{0x80 | 10}, {}, 1024 + 512, 1'500'000'000},
    StampCase{"2^-32 s, as NTP", uint8_t{0x80 | 32}, {}, 0x1'8000'0001, 1'500'000'000},
    StampCase{"2^-64 s", uint8_t{0x80 | 64}, {}, UINT64_MAX, 999'999'999},
    StampCase{"2^-127 s", uint8_t{0xff}, {}, UINT64_MAX, 0},
    StampCase{"an offset", uint8_t{9}, 1'790'000'000, 5, 1'790'000'000'000'000'005},
    StampCase{"an offset backwards", uint8_t{0}, -1, 3, 2'000'000'000},
    StampCase{"before 1970", uint8_t{0}, -4, 3, 0},
    StampCase{"long before 1970", uint8_t{9}, INT64_MIN, UINT64_MAX, 0},
    StampCase{"after 2554", uint8_t{0}, {}, UINT64_MAX, UINT64_MAX},
    StampCase{"long after 2554", uint8_t{9}, INT64_MAX, UINT64_MAX, UINT64_MAX},
    StampCase{"back from after 2554", uint8_t{0}, -18'446'744'074, 18'446'744'075, 1'000'000'000},
    StampCase{"the last nanosecond", uint8_t{9}, {}, UINT64_MAX, UINT64_MAX},
};

TEST(CapturePcapng, StampsOfEveryResolution) {
  for (const std::endian order : kOrders) {
    for (const StampCase& each : kStampCases) {
      const BuiltCapture built =
          PcapngBuilder()
              .section(order)
              .interface({.name = "x", .resolution = each.resolution, .offset = each.offset})
              .packet({.stamp = each.stamp, .bytes = pattern(14)})
              .build();
      const ReadCapture read = read_capture(built.file);
      ASSERT_EQ(read.frames.size(), 1u) << each.name << read.error;
      EXPECT_EQ(read.frames[0].time_ns, each.want) << each.name;
      EXPECT_EQ(built.frames[0].frame.time_ns, each.want) << "the builder, " << each.name;
    }
  }
}

TEST(CapturePcapng, OtherBlocksArePassedOverHoweverLong) {
  const BuiltCapture built = PcapngBuilder()
                                 .section(std::endian::little)
                                 .block(0x7777, Bytes(20'000'000))
                                 .interface({})
                                 .block(4, Bytes(4))
                                 .packet({.stamp = 1, .bytes = pattern(60)})
                                 .block(0x0000000a, Bytes(300'000))
                                 .block(0x80000001, {})
                                 .packet({.stamp = 2, .bytes = pattern(60)})
                                 .build();
  const ReadCapture read = read_capture(built.file);
  EXPECT_EQ(read.error, "");
  EXPECT_EQ(read.frames, built.owned_frames());
  ASSERT_EQ(read.frames.size(), 2u);
  EXPECT_EQ(read.frames[1].number, 2u);
}

TEST(CapturePcapng, BlocksThatWiresharkShowsAsFramesLeaveTheirNumber) {
  PcapngBuilder builder;
  builder.section(std::endian::big).interface({});
  for (const uint32_t type : {0xbadu, 0x40000badu, 9u, 0x204u, 0x216u, 0x221u}) {
    builder.block(type, Bytes(24), true).packet({.bytes = pattern(20)});
  }
  std::vector<uint64_t> numbers;
  for (const OwnedFrame& frame : read_capture(builder.build().file).frames) {
    numbers.push_back(frame.number);
  }
  EXPECT_THAT(numbers, ElementsAre(2, 4, 6, 8, 10, 12));
}

TEST(CapturePcapng, NamesEndAtAZeroAndAfter256Bytes) {
  const BuiltCapture built = PcapngBuilder()
                                 .section(std::endian::little)
                                 .interface({.name = std::string("lo\0\0x", 5)})
                                 .interface({.name = std::string(300, 'n')})
                                 .build();
  const ReadCapture read = read_capture(built.file);
  ASSERT_EQ(read.interfaces.size(), 2u);
  EXPECT_EQ(read.interfaces[0].name, "lo");
  EXPECT_EQ(read.interfaces[1].name, std::string(256, 'n'));
}

TEST(CapturePcapng, FileThatEndsAnywhereGivesItsWholeFramesAndSaysWhere) {
  const BuiltCapture built = sample_capture(20, {.mixed_orders = true, .frames = 10});
  ASSERT_GE(built.frames.size(), 10u);
  size_t within_frames = 0;
  for (size_t size = 4; size < built.file.size(); ++size) {
    const ReadCapture read = read_capture(View(built.file).first(size));
    size_t whole = 0;
    while (built.frames[whole].end <= size) ++whole;
    ASSERT_EQ(read.frames.size(), whole) << size;
    for (size_t i = 0; i < whole; ++i) ASSERT_EQ(read.frames[i], built.frames[i].frame);
    const auto record = std::find_if(built.records.begin(), built.records.end(),
                                     [&](const BuiltRecord& each) { return each.end > size; });
    if (record->begin == size) {
      ASSERT_EQ(read.error, "") << size;
      continue;
    }
    const bool packet = record->type == 2 || record->type == 3 || record->type == 6;
    const bool in_frame = packet && size >= record->begin + 8;
    const uint64_t number = built.frames[whole].frame.number;
    ASSERT_THAT(read.error,
                testing::StartsWith(fmt::format("test capture: ends at byte {}, within "
                                                "{}",
                                                size, in_frame ? "frame " : "the block at byte ")));
    if (in_frame) {
      ++within_frames;
      ASSERT_EQ(read.error, fmt::format("test capture: ends at byte {}, within frame {}, which "
                                        "begins at byte {}",
                                        size, number, record->begin));
    } else {
      ASSERT_THAT(read.error,
                  testing::HasSubstr(fmt::format(" at byte {}, after frame ", record->begin)));
    }
  }
  EXPECT_GT(within_frames, 500u);
}

}  // namespace
}  // namespace tfo::test::capture_pcapng_test
