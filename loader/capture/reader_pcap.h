// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "loader/capture/byte_order.h"
#include "loader/capture/byte_source.h"
#include "loader/capture/record_reader.h"

namespace tfo {

/// First four bytes of a pcap file, in its own byte order.
inline constexpr uint32_t kPcapMicroseconds = 0xa1b2c3d4;
inline constexpr uint32_t kPcapNanoseconds = 0xa1b23c4d;

/// pcap 2.4 (draft-ietf-opsawg-pcap).
class PcapReader : public RecordReader {
 public:
  /// `source` stands at the file's first byte and outlives the reader.
  PcapReader(ByteSource& source, ByteOrder order, bool nanoseconds)
      : source_(source), order_(order), fraction_ns_(nanoseconds ? 1 : 1000) {}

  Result<> begin() override;
  Result<std::optional<CapturedFrame>> next() override;
  const char* format() const override { return "pcap"; }

 private:
  tl::unexpected<Error> ends_early() const;

  ByteSource& source_;
  ByteOrder order_;
  uint64_t fraction_ns_;  // nanoseconds in a unit of the second half of a stamp
  uint64_t frames_ = 0;
};

}  // namespace tfo
