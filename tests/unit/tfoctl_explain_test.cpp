// SPDX-License-Identifier: BSD-2-Clause
// What `tfoctl explain` takes for a packet, and what it says of the rest; needs no program.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "loader/capture/writer.h"
#include "tests/support/packet.h"
#include "tests/support/tfoctl_run.h"
#include "tools/explain_input.h"

namespace tfo::test {
namespace {

constexpr const char* kKey = "00112233-44556677-8899aabb-ccddeeff";

TEST(ExplainHex, DigitsWithWhatPeoplePasteBetweenThem) {
  const std::vector<uint8_t> bytes = {0x45, 0x00, 0xab, 0xcd};
  for (const char* text : {"4500abcd", "45 00 ab cd", "4500 ABCD", "0x4500abcd", " \t0X4500abcd\n",
                           "45:00:ab:cd", "45\n00\r\nab\ncd\n", "4 5 0 0 a b c d"}) {
    const auto parsed = parse_hex(text);
    ASSERT_TRUE(parsed) << text << ": " << parsed.error().message;
    EXPECT_EQ(*parsed, bytes) << text;
  }
  EXPECT_TRUE(parse_hex("")->empty());
  EXPECT_TRUE(parse_hex("0x")->empty());
}

TEST(ExplainHex, TheFirstWrongCharacterIsNamedWithItsPlace) {
  const struct {
    std::string text;
    const char* says;
  } cases[] = {{"45g0", "'g' at place 3"},
               {"zz", "'z' at place 1"},
               {"45 0-", "'-' at place 5"},
               {"0x450x00", "'x' at place 6"},
               {"45\n00 ü", "byte 0xc3 at place 7"},
               {std::string("45\0", 3), "byte 0x00 at place 3"},
               {"0", "odd number of hex digits (1)"},
               {"45 0", "odd number of hex digits (3)"}};
  for (const auto& [text, says] : cases) {
    const auto parsed = parse_hex(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().message.find(says), std::string::npos) << parsed.error().message;
  }
}

/// A dump with offsets must not be taken for a longer frame.
TEST(ExplainHex, DumpsWithOffsetsAreRefused) {
  for (const char* dump : {"\t0x0000:  4500 0028 0001 0000\n\t0x0010:  4006 0000\n",
                           "00000000: 4500 0028 0001 0000  E..(....\n"}) {
    const auto parsed = parse_hex(dump);
    ASSERT_FALSE(parsed) << dump;
    EXPECT_NE(parsed.error().message.find("without offsets"), std::string::npos)
        << parsed.error().message;
  }
}

TEST(ExplainLink, EthernetUnlessItCanOnlyBeIp) {
  const auto link = [](const Packet& packet) { return guess_link_type(packet.frame()); };
  const Packet v4 = Packet::syn("10.88.0.9", "10.88.0.1");
  const Packet v6 = Packet::syn("fd88::9", "fd88::1");
  EXPECT_EQ(link(v4), kLinkEthernet);
  EXPECT_EQ(link(v6), kLinkEthernet);
  EXPECT_EQ(link(Packet(v6).tag(kQinQ).tag()), kLinkEthernet);
  EXPECT_EQ(link(Packet(v4).l3()), kLinkRaw);
  EXPECT_EQ(link(Packet(v6).l3()), kLinkRaw);
  // Source addresses whose bytes are those of an ethertype.
  for (const char* source : {"8.0.3.1", "8.0.69.1", "129.0.0.1", "136.168.0.1", "134.221.96.1"}) {
    EXPECT_EQ(link(Packet::syn(source, "10.88.0.1").l3()), kLinkRaw) << source;
  }
  EXPECT_EQ(link(Packet::syn("fd88:0:8100::9", "fd88::1").l3()), kLinkRaw);
  // An IP length that lies, and so no IP packet at all.
  EXPECT_EQ(link(Packet(v4).l3().ip_length(1000)), kLinkEthernet);
  EXPECT_EQ(guess_link_type(Bytes(60, 0)), kLinkEthernet);
  EXPECT_EQ(guess_link_type(Bytes(14, 0x45)), kLinkEthernet);
}

class ExplainFile : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/tfoctl_explain_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    file_ = directory_ + "/capture.pcapng";
    auto writer = CaptureWriter::create(file_, "test");
    ASSERT_TRUE(writer) << writer.error().message;
    const Bytes frame = Packet::syn("10.88.0.9", "10.88.0.1").frame();
    for (const uint32_t link_type : {kLinkEthernet, uint32_t{147}, kLinkCooked}) {
      CaptureInterface interface;
      interface.link_type = link_type;
      ASSERT_TRUE(writer->add_interface(interface));
    }
    for (const uint32_t interface : {0, 1, 2, 0}) {
      CapturedFrame captured;
      captured.number = ++frames_;
      captured.interface = interface;
      captured.wire_length = static_cast<uint32_t>(frame.size());
      const size_t whole = interface == 2 ? 10 : frame.size();  // cooked: 16 bytes of header
      ASSERT_TRUE(writer->add(captured, View(frame).first(frames_ == 4 ? 30 : whole), ""));
    }
    ASSERT_TRUE(writer->commit());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string directory_, file_;
  uint64_t frames_ = 0;
};

TEST_F(ExplainFile, WrongUsageIsTwoAndSaysWhat) {
  const std::string hex = to_hex(Packet::syn("10.88.0.9", "10.88.0.1").frame());
  const struct {
    std::vector<std::string> arguments;
    const char* says;
  } cases[] = {
      {{}, "either with --hex"},
      {{file_, "--hex", hex}, "either with --hex"},
      {{"--hex", hex, "--frame", "1"}, "--frame counts"},
      {{"--hex", hex.substr(1)}, "odd number"},
      {{"--hex", hex.substr(0, 26)}, "13 bytes are too few"},
      {{"--hex", ""}, "0 bytes are too few"},
      {{"--hex", "-", "--key-file", "-"}, "cannot both be standard input"},
      {{"--hex", hex, "--link", "wifi"}, "--link"},
      {{"--hex", hex, "--decap", "vxlan"}, "vxlan"},
      {{"--hex", hex, "--interface", "eth0"}, "--config"},
      {{"--hex", hex, "--key", kKey, "--config", "/nonexistent"}, "--config names the key files"},
      {{"--hex", hex, "--decap", "gue", "--config", "/nonexistent"}, "--decap"},
      {{"--hex", hex, "--config", "/nonexistent"}, "/nonexistent"},
      {{"--hex", hex, "--key", "0123"}, "--key"},
      {{file_}, "--frame N"},
      {{file_, "--frame", "0"}, "--frame N"},
      {{file_, "--frame", "x"}, "--frame"},
      {{file_, "--frame", "5"}, "there is no frame 5, the last one is 4"},
      {{file_, "--frame", "1", "--link", "raw"}, "--link is for --hex"},
      {{file_, "--frame", "2"}, "frame 2 of"},
      {{file_, "--frame", "2"}, "link type 147"},
      {{file_, "--frame", "3"}, "its link header is not whole, 10 of 54 bytes"},
      {{"-", "--frame", "1", "--key-file", "-"}, "cannot both be standard input"},
      {{directory_ + "/missing", "--frame", "1"}, "missing"},
  };
  for (const auto& one : cases) {
    std::vector<std::string> arguments = {"explain"};
    arguments.insert(arguments.end(), one.arguments.begin(), one.arguments.end());
    for (const bool json : {false, true}) {
      if (json) arguments.insert(arguments.begin(), "-j");
      const Ran ran = run_tfoctl(arguments);
      EXPECT_EQ(ran.code, 2) << one.says;
      EXPECT_EQ(ran.out, "") << one.says;
      EXPECT_NE(ran.err.find(one.says), std::string::npos) << one.says << ": " << ran.err;
    }
  }
}

TEST_F(ExplainFile, EveryErrorOfAConfigurationOnItsLine) {
  const std::string config = directory_ + "/tfod.json";
  FILE* file = fopen(config.c_str(), "w");
  ASSERT_NE(file, nullptr);
  fputs(R"({"vips": [{"name": "web", "pool": "none"}], "wrong": 1})", file);
  fclose(file);
  const Ran ran = run_tfoctl({"explain", file_, "--frame", "1", "--config", config});
  EXPECT_EQ(ran.code, 2);
  EXPECT_EQ(ran.out, "");
  for (const char* says : {"wrong: ", "vips[0]: has no ", "tfoctl: --config "}) {
    EXPECT_NE(("\n" + ran.err).find("\n" + std::string(says)), std::string::npos) << ran.err;
  }
}

}  // namespace
}  // namespace tfo::test
