// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "loader/capture/byte_order.h"
#include "loader/capture/byte_source.h"
#include "loader/capture/pcapng_clock.h"
#include "loader/capture/record_reader.h"

namespace tfo {

/// pcapng 1.x. Blocks that hold no packet are passed over.
class PcapngReader : public RecordReader {
 public:
  /// `source` stands at the file's first byte and outlives the reader.
  explicit PcapngReader(ByteSource& source) : source_(source) {}

  Result<> begin() override;
  Result<std::optional<CapturedFrame>> next() override;
  const char* format() const override { return "pcapng"; }

 private:
  using Bytes = std::span<const uint8_t>;

  Result<> read_section();
  Result<> read_interface(uint32_t length);
  Result<> read_interface_options(Bytes bytes, CaptureInterface& interface);
  Result<CapturedFrame> read_packet(uint32_t type, uint32_t length);
  Result<CapturedFrame> enhanced(Bytes body);
  Result<CapturedFrame> obsolete(Bytes body);
  Result<CapturedFrame> simple(Bytes body);
  /// What the two kinds of packet with options have in common: `body` from the stamp on.
  Result<CapturedFrame> stamped(uint32_t interface, Bytes body);
  Result<> read_packet_options(Bytes bytes, CapturedFrame& frame);
  /// The body of the block at hand, which is consumed; it stays valid until the next read.
  Result<Bytes> take_block(uint32_t length);
  Result<> pass_over(uint32_t length);
  Result<> check_length(uint32_t length) const;
  Result<> check_captured(uint32_t captured, size_t room) const;

  tl::unexpected<Error> bad_block(const std::string& text) const;
  tl::unexpected<Error> lengths_differ(uint32_t length, uint32_t again) const;
  tl::unexpected<Error> ends_early() const;

  ByteSource& source_;
  ByteOrder order_;
  uint64_t block_ = 0;               // offset of the block at hand
  uint64_t frames_ = 0;              // number of the last one
  uint32_t first_ = 0;               // of this section's interfaces
  std::vector<PcapngClock> clocks_;  // of this section's interfaces
};

}  // namespace tfo
