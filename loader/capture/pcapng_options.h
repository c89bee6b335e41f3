// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <span>

#include "loader/capture/byte_order.h"
#include "loader/capture/pcapng.h"

namespace tfo {

/// Walks the options at the end of a pcapng block.
class PcapngOptions {
 public:
  PcapngOptions(std::span<const uint8_t> bytes, ByteOrder order) : bytes_(bytes), order_(order) {}

  /// Goes to the next option; false behind the last one, or if it reaches beyond the block.
  bool next() {
    if (bytes_.size() < kHead) return false;
    code_ = order_.u16(bytes_.data());
    const size_t length = order_.u16(bytes_.data() + 2);
    if (code_ == kOptionEnd) return false;
    broken_ = padded(length) > bytes_.size() - kHead;
    if (broken_) return false;
    value_ = bytes_.subspan(kHead, length);
    bytes_ = bytes_.subspan(kHead + padded(length));
    return true;
  }
  bool broken() const { return broken_; }
  uint16_t code() const { return code_; }
  std::span<const uint8_t> value() const { return value_; }

 private:
  static constexpr size_t kHead = 4;

  std::span<const uint8_t> bytes_;
  ByteOrder order_;
  uint16_t code_ = 0;
  std::span<const uint8_t> value_;
  bool broken_ = false;
};

}  // namespace tfo
