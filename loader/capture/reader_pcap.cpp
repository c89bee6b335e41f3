// SPDX-License-Identifier: BSD-2-Clause
#include "loader/capture/reader_pcap.h"

#include <fmt/format.h>

#include <algorithm>

namespace tfo {
namespace {

constexpr size_t kFileHeader = 24;
constexpr size_t kRecordHeader = 16;
constexpr uint64_t kSecondNs = 1'000'000'000;

}  // namespace

Result<> PcapReader::begin() {
  if (!source_.need(kFileHeader)) {
    return source_.failure(
        fmt::format("ends at byte {}, within the file header of 24 bytes", source_.end_offset()));
  }
  const uint8_t* header = source_.data();
  const uint16_t major = order_.u16(header + 4);
  const uint16_t minor = order_.u16(header + 6);
  if (major != 2 || minor != 4) {
    return source_.failure(fmt::format(
        "is pcap of version {}.{}, only 2.4 can be read: convert it, `editcap -F pcap FILE NEW`",
        major, minor));
  }
  CaptureInterface interface;
  interface.snap_length = order_.u32(header + 16);
  // The upper half says whether and how long frames end with a checksum; the packet ends before it.
  interface.link_type = order_.u32(header + 20) & 0xffff;
  interfaces_.push_back(std::move(interface));
  source_.consume(kFileHeader);
  return {};
}

Result<std::optional<CapturedFrame>> PcapReader::next() {
  if (!source_.need(kRecordHeader)) {
    if (source_.at_end()) return std::optional<CapturedFrame>();
    return ends_early();
  }
  const uint8_t* header = source_.data();
  const uint32_t captured = order_.u32(header + 8);
  if (captured > kMaxFrame) {
    return source_.failure(fmt::format(
        "frame {} at byte {} says that {} bytes of it were captured, at most {} are possible: the "
        "file is damaged",
        frames_ + 1, source_.offset(), captured, kMaxFrame));
  }
  const size_t length = kRecordHeader + captured;
  if (!source_.need(length)) return ends_early();
  header = source_.data();
  CapturedFrame frame;
  frame.number = ++frames_;
  frame.time_ns = order_.u32(header) * kSecondNs + order_.u32(header + 4) * fraction_ns_;
  frame.wire_length = std::max(order_.u32(header + 12), captured);
  frame.bytes = {header + kRecordHeader, captured};
  source_.consume(length);
  return frame;
}

tl::unexpected<Error> PcapReader::ends_early() const {
  return source_.failure(fmt::format("ends at byte {}, within frame {}, which begins at byte {}",
                                     source_.end_offset(), frames_ + 1, source_.offset()));
}

}  // namespace tfo
