// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tfo {

/// How the options of a measured segment look on the wire.
enum class BenchOptions {
  kTimestamps,  // NOP, NOP, timestamps: an established connection's segment
  kPlain,       // a Linux SYN: MSS, SACK-permitted, timestamps, NOP, window scale
  kRequest,     // the same, then an empty Fast Open option
  kCookie,      // the same, then a Fast Open option with a cookie (tcp_options_write())
  kOtherOrder,  // MSS, NOP, window scale, NOP, NOP, timestamps, SACK-permitted, EOL-free: as BSD
                // stacks order them, with the Fast Open cookie in front of SACK-permitted
};

/// One segment to measure with. IPv4 addresses are the last four bytes of a mapped one.
struct BenchSegment {
  int family = 4;  // 4 or 6
  std::array<uint8_t, 16> source{};
  std::array<uint8_t, 16> destination{};
  uint16_t source_port = 0;  // host order
  uint16_t destination_port = 0;
  uint32_t sequence = 0;
  bool syn = true;
  bool ack = false;           // with `syn`: a SYN-ACK. What is no SYN always acknowledges
  uint32_t acknowledged = 0;  // of a SYN-ACK
  BenchOptions options = BenchOptions::kPlain;
  uint64_t cookie = 0;  // as it lies in memory
  size_t data = 0;      // bytes of payload, even
};

/// The Ethernet frame, checksums right. Its length depends on family, options and data only.
std::vector<uint8_t> build_frame(const BenchSegment& segment);

}  // namespace tfo
