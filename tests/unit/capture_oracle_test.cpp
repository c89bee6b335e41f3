// SPDX-License-Identifier: BSD-2-Clause
// The same files through libpcap, and, where it refuses them or cannot say it, through tshark.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <pcap/pcap.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <sstream>
#include <string>

#include "loader/capture/writer.h"
#include "tests/support/capture_read.h"
#include "tests/support/capture_sample.h"
#include "tests/support/options.h"

namespace tfo::test {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

/// Number, stamp, lengths and bytes, which is what libpcap knows of.
std::vector<OwnedFrame> libpcap_frames(const std::string& path) {
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  const std::unique_ptr<pcap_t, decltype(&pcap_close)> capture(
      pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO,
                                              error.data()),
      pcap_close);
  EXPECT_TRUE(capture) << error.data();
  std::vector<OwnedFrame> result;
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  int got = 0;
  while (capture && (got = pcap_next_ex(capture.get(), &header, &bytes)) == 1) {
    OwnedFrame frame;
    frame.number = result.size() + 1;
    frame.time_ns = static_cast<uint64_t>(header->ts.tv_sec) * kSecond +
                    static_cast<uint64_t>(header->ts.tv_usec);
    frame.wire_length = header->len;
    frame.bytes.assign(bytes, bytes + header->caplen);
    result.push_back(std::move(frame));
  }
  EXPECT_EQ(got, PCAP_ERROR_BREAK) << (capture ? pcap_geterr(capture.get()) : "");
  return result;
}

TEST(CaptureOracle, LibpcapReadsTheSame) {
  // 12 for raw IP: libpcap takes a second interface of kLinkRaw for one of another type.
  constexpr std::array kLinks = {kLinkEthernet, kLinkNull, kLinkLoop,   12u,
                                 kLinkIpv4,     kLinkIpv6, kLinkCooked, kLinkCooked2};
  const uint64_t seed = test_seed();
  const CaptureDirectory directory;
  for (uint64_t i = 0; i < 200; ++i) {
    const SampleShape shape{.pcapng = i % 2 == 0,
                            .order = i / 2 % 2 == 0 ? std::endian::little : std::endian::big,
                            .link_types = {kLinks[i / 4 % kLinks.size()]},
                            .one_snap_length = true,
                            .frames = 40,
                            .odd_times = false};
    const std::string path = directory.write("x", sample_capture(seed + i, shape).file);
    auto reader = CaptureReader::open(path);
    ASSERT_TRUE(reader) << reader.error().message;
    const size_t size = reader->file_size().value_or(0);
    ReadCapture read = read_to_end(std::move(*reader), size);
    ASSERT_EQ(read.error, "") << i;
    std::vector<OwnedFrame> want = libpcap_frames(path);
    ASSERT_EQ(read.frames.size(), want.size()) << i;
    for (size_t n = 0; n < read.frames.size(); ++n) {
      // A Simple Packet Block has no stamp; libpcap adds if_tsoffset to none.
      if (read.frames[n].time_ns == 0) want[n].time_ns = 0;
      read.frames[n].number = n + 1;
      read.frames[n].interface = 0;
      read.frames[n].flags = {};
    }
    ASSERT_EQ(read.frames, want) << i;
  }
}

/// Fields of one frame, as tshark prints them.
struct Row {
  std::string time;
  std::string length;
  std::string captured;
  std::string flags;
  std::string comment;
  bool operator==(const Row&) const = default;
};

void PrintTo(const Row& row, std::ostream* out) {
  *out << row.time << " " << row.length << " " << row.captured << " " << row.flags << " "
       << row.comment;
}

std::map<uint64_t, Row> tshark_rows(const std::string& path) {
  const std::string command =
      "LC_ALL=C.UTF-8 tshark -n -r '" + path +
      "' -T fields -E separator=/t -e frame.number -e frame.time_epoch -e frame.len -e "
      "frame.cap_len -e frame.packet_flags -e frame.comment 2>'" +
      path + ".errors'";
  std::string output;
  const std::unique_ptr<FILE, decltype(&pclose)> pipe(popen(command.c_str(), "r"), pclose);
  EXPECT_TRUE(pipe);
  std::array<char, 4096> buffer{};
  for (size_t got = 0; pipe && (got = fread(buffer.data(), 1, buffer.size(), pipe.get())) > 0;) {
    output.append(buffer.data(), got);
  }
  std::map<uint64_t, Row> rows;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    std::array<std::string, 6> fields;
    std::istringstream columns(line);
    for (std::string& field : fields) std::getline(columns, field, '\t');
    rows[std::stoul(fields[0])] = {fields[1], fields[2], fields[3], fields[4], fields[5]};
  }
  return rows;
}

Row row_of(const OwnedFrame& frame, const std::string& comment, bool stamped) {
  return {stamped ? fmt::format("{}.{:09d}", frame.time_ns / kSecond, frame.time_ns % kSecond) : "",
          std::to_string(frame.wire_length), std::to_string(frame.bytes.size()),
          frame.flags ? fmt::format("0x{:08x}", *frame.flags) : "", comment};
}

/// Every frame is there under its number, and has its comment.
void expect_rows(const std::map<uint64_t, Row>& rows, const std::vector<OwnedFrame>& frames,
                 const std::vector<std::string>& comments, bool zero_is_a_stamp) {
  ASSERT_FALSE(frames.empty());
  ASSERT_FALSE(rows.empty());
  ASSERT_EQ(frames.size(), comments.size());
  for (size_t i = 0; i < frames.size(); ++i) {
    const auto row = rows.find(frames[i].number);
    ASSERT_NE(row, rows.end()) << frames[i].number;
    ASSERT_EQ(row->second,
              row_of(frames[i], comments[i], zero_is_a_stamp || frames[i].time_ns != 0))
        << "frame " << frames[i].number;
  }
}

TEST(CaptureOracle, TsharkReadsTheSameOfSeveralLinkTypesAndSections) {
  const uint64_t seed = test_seed();
  const CaptureDirectory directory;
  for (uint64_t i = 0; i < 6; ++i) {
    const BuiltCapture built =
        sample_capture(seed + i, {.mixed_orders = i % 2 == 0, .frames = 60, .odd_times = false});
    const ReadCapture read = read_capture(built.file);
    ASSERT_EQ(read.error, "") << i;
    std::vector<std::string> comments;
    comments.reserve(built.frames.size());
    for (const BuiltFrame& frame : built.frames) comments.push_back(frame.comment);
    const std::map<uint64_t, Row> rows = tshark_rows(directory.write("x.pcapng", built.file));
    ASSERT_NO_FATAL_FAILURE(expect_rows(rows, read.frames, comments, false)) << i;
    // It numbers no packet beyond ours, only other blocks that come last.
    ASSERT_LE(read.frames.back().number, rows.rbegin()->first);
  }
}

TEST(CaptureOracle, TsharkReadsWhatTheWriterWrote) {
  const uint64_t seed = test_seed();
  const CaptureDirectory directory;
  for (uint64_t i = 0; i < 3; ++i) {
    const ReadCapture read =
        read_capture(sample_capture(seed + i, {.frames = 60, .odd_times = false}).file);
    const std::string path = directory.file("x.pcapng");
    auto writer = CaptureWriter::create(path, "oracle test");
    ASSERT_TRUE(writer) << writer.error().message;
    for (const CaptureInterface& each : read.interfaces) ASSERT_TRUE(writer->add_interface(each));
    std::vector<OwnedFrame> frames;
    std::vector<std::string> comments;
    for (const OwnedFrame& owned : read.frames) {
      frames.push_back(owned);
      frames.back().number = frames.size();
      comments.push_back(frames.size() % 3 == 0 ? "" : fmt::format("{} was “{}”", i, owned.number));
      const CapturedFrame frame{owned.number, owned.time_ns, owned.interface, owned.wire_length,
                                {},           owned.flags};
      ASSERT_TRUE(writer->add(frame, owned.bytes, comments.back()));
    }
    ASSERT_TRUE(writer->commit());
    const std::map<uint64_t, Row> rows = tshark_rows(path);
    ASSERT_NO_FATAL_FAILURE(expect_rows(rows, frames, comments, true)) << i;
    ASSERT_EQ(rows.size(), frames.size());
  }
}

}  // namespace
}  // namespace tfo::test
