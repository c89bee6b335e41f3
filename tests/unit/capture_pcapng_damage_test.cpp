// SPDX-License-Identifier: BSD-2-Clause
// Each way in which a pcapng block can be wrong, and what is said of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/support/capture_read.h"

namespace tfo::test::capture_pcapng_damage_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::array kOrders = {std::endian::little, std::endian::big};
constexpr uint32_t kInterface = 1, kPacket = 2, kSimple = 3, kEnhanced = 6;

/// A section, an interface and one frame; the next block begins at byte 140.
class Sound {
 public:
  explicit Sound(std::endian order) : order_(order) {
    builder_.section(order).interface({.snap_length = 100}).packet({.bytes = pattern(60)});
    EXPECT_EQ(builder_.build().file.size(), kNext);
  }
  FileBytes body() const { return FileBytes(order_); }
  /// The error when this block follows; the frame before must have been returned.
  std::string with(uint32_t type, const FileBytes& body) {
    PcapngBuilder builder = builder_;
    return error(builder.block(type, body.bytes()).build().file);
  }
  /// The same with a block whose lengths lie.
  std::string with_lengths(uint32_t type, uint32_t head, size_t body, uint32_t tail) {
    FileBytes block(order_);
    block.u32(type).u32(head).raw(Bytes(body)).u32(tail);
    Bytes file = builder_.build().file;
    file.insert(file.end(), block.bytes().begin(), block.bytes().end());
    return error(file);
  }
  static std::string error(const Bytes& file) {
    const ReadCapture read = read_capture(file);
    EXPECT_EQ(read.frames.size(), 1u);
    return read.error;
  }
  static constexpr size_t kNext = 28 + 20 + 92;

 private:
  std::endian order_;
  PcapngBuilder builder_;
};

testing::Matcher<const std::string&> says(const std::string& text) {
  return AllOf(StartsWith("test capture: the block at byte 140, after frame 1, "), HasSubstr(text));
}

TEST(CapturePcapngDamage, BlockLengths) {
  for (const std::endian order : kOrders) {
    Sound sound(order);
    for (const uint32_t type : {0x7777u, kInterface, kEnhanced}) {
      for (const uint32_t length : {0u, 8u, 11u, 13u, 34u, 0xffffffffu}) {
        EXPECT_THAT(sound.with_lengths(type, length, 24, length),
                    says("says that it is " + std::to_string(length) + " bytes long, which is no"));
      }
      EXPECT_THAT(sound.with_lengths(type, 36, 24, 40),
                  says("is 36 bytes long by its beginning and 40 by its end"));
      EXPECT_THAT(sound.with_lengths(type, 36, 24, 0),
                  says("36 bytes long by its beginning and 0"));
    }
    EXPECT_THAT(sound.with_lengths(kEnhanced, 16'777'220, 24, 16'777'220),
                says("16777220 bytes long, at most 16777216"));
    EXPECT_THAT(sound.with_lengths(kInterface, 0xfffffffc, 24, 0), says("at most 16777216"));
    EXPECT_THAT(sound.with_lengths(0x7777, 0xfffffffc, 24, 0),
                HasSubstr("ends at byte 176, within the block at byte 140, after frame 1"));
    EXPECT_THAT(sound.with_lengths(kEnhanced, 16'777'216, 24, 0),
                HasSubstr("ends at byte 176, within frame 2, which begins at byte 140"));
  }
}

TEST(CapturePcapngDamage, Packets) {
  for (const std::endian order : kOrders) {
    Sound sound(order);
    const auto packet = [&](uint32_t interface, uint32_t captured) {
      return sound.body().u32(interface).u64(0).u32(captured).u32(60).raw(Bytes(60));
    };
    EXPECT_EQ(Sound(order).with(0x7777, packet(0, 60)), "");
    EXPECT_THAT(sound.with(kEnhanced, packet(1, 60)),
                says("names interface 1, but its section has described 1"));
    EXPECT_THAT(sound.with(kEnhanced, packet(UINT32_MAX, 60)), says("names interface 4294967295"));
    EXPECT_THAT(sound.with(kEnhanced, packet(0, 61)), says("has room for 60 bytes of the 61"));
    EXPECT_THAT(sound.with(kEnhanced, packet(0, 262'145)), says("holds 262145 bytes of a frame"));
    EXPECT_THAT(sound.with(kEnhanced, packet(0, UINT32_MAX)), says("holds 4294967295 bytes"));
    EXPECT_THAT(sound.with(kEnhanced, sound.body().raw(Bytes(16))), says("too short"));
    EXPECT_THAT(sound.with(kPacket, sound.body().raw(Bytes(16))), says("too short"));
    EXPECT_THAT(sound.with(kPacket, sound.body().u16(3).raw(Bytes(30))), says("names interface 3"));
    EXPECT_THAT(sound.with(kSimple, sound.body()), says("too short"));
    EXPECT_THAT(sound.with(kSimple, sound.body().u32(61).raw(Bytes(60))),
                says("has room for 60 bytes of the 61"));
    EXPECT_THAT(sound.with(kSimple, sound.body().u32(UINT32_MAX).raw(Bytes(96))),
                says("has room for 96 bytes of the 100"));
  }
}

TEST(CapturePcapngDamage, Options) {
  for (const std::endian order : kOrders) {
    Sound sound(order);
    const auto packet = [&] { return sound.body().u32(0).u64(0).u32(0).u32(0); };
    const auto interface = [&] { return sound.body().u16(1).u16(0).u32(0); };
    EXPECT_THAT(sound.with(kEnhanced, packet().u16(1).u16(1)), says("option that reaches beyond"));
    EXPECT_THAT(sound.with(kEnhanced, packet().u16(1).u16(0xffff).u32(0)), says("reaches beyond"));
    EXPECT_THAT(sound.with(kEnhanced, packet().u16(2).u16(3).u32(0)), says("flags that are not 4"));
    EXPECT_THAT(sound.with(kInterface, interface().u16(2).u16(5).u32(0)), says("reaches beyond"));
    EXPECT_THAT(sound.with(kInterface, interface().u16(9).u16(0)), says("if_tsresol"));
    EXPECT_THAT(sound.with(kInterface, interface().u16(9).u16(2).u32(0)), says("if_tsresol"));
    EXPECT_THAT(sound.with(kInterface, interface().u16(14).u16(4).u32(0)), says("if_tsoffset"));
    // What follows the end of the options is not looked at.
    EXPECT_EQ(sound.with(kInterface, interface().u32(0).u16(9).u16(100)), "");
    EXPECT_THAT(sound.with(kInterface, sound.body().u16(1).u16(0)), says("too short"));
  }
}

TEST(CapturePcapngDamage, Sections) {
  for (const std::endian order : kOrders) {
    Sound sound(order);
    const auto section = [&](uint32_t magic, uint16_t major) {
      return sound.body().u32(magic).u16(major).u16(0).u64(UINT64_MAX);
    };
    constexpr uint32_t kSection = 0x0a0d0d0a;
    EXPECT_EQ(sound.with(kSection, section(0x1a2b3c4d, 1)), "");
    EXPECT_THAT(sound.with(kSection, section(0x1a2b3c4e, 1)), says("byte order magic"));
    EXPECT_THAT(sound.with(kSection, section(0x1a2b3c4d, 2)), says("pcapng of version 2"));
    EXPECT_THAT(sound.with(kSection, sound.body().u32(0x1a2b3c4d).raw(Bytes(8))),
                says("section of 24 bytes, at least 28"));
    // An interface is only known in its own section.
    PcapngBuilder builder;
    builder.section(order).interface({}).packet({.bytes = pattern(60)}).section(order);
    EXPECT_THAT(Sound::error(builder.block(kEnhanced, Bytes(20)).build().file),
                HasSubstr("names interface 0, but its section has described 0"));
    PcapngBuilder simple;
    simple.section(order).interface({}).packet({.bytes = pattern(60)}).section(order);
    EXPECT_THAT(Sound::error(simple.block(kSimple, Bytes(4)).build().file),
                HasSubstr("its section has described no interface"));
  }
}

TEST(CapturePcapngDamage, NoEndOfInterfaces) {
  PcapngBuilder builder;
  builder.section(std::endian::little);
  for (int i = 0; i < 65'536; ++i) builder.interface({});
  const BuiltCapture most = builder.build();
  EXPECT_EQ(read_capture(most.file).interfaces.size(), 65'536u);
  EXPECT_EQ(capture_error(most.file), "");
  EXPECT_THAT(capture_error(builder.interface({}).build().file), HasSubstr("more than 65536"));
}

}  // namespace
}  // namespace tfo::test::capture_pcapng_damage_test
