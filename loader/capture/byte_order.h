// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <cstring>

namespace tfo {

/// Reads integers that stand at any address in the byte order of whoever wrote the file.
class ByteOrder {
 public:
  ByteOrder() = default;
  /// `swapped`: not this machine's order.
  explicit ByteOrder(bool swapped) : swapped_(swapped) {}

  uint16_t u16(const uint8_t* at) const {
    const auto value = load<uint16_t>(at);
    return swapped_ ? __builtin_bswap16(value) : value;
  }
  uint32_t u32(const uint8_t* at) const {
    const auto value = load<uint32_t>(at);
    return swapped_ ? __builtin_bswap32(value) : value;
  }
  uint64_t u64(const uint8_t* at) const {
    const auto value = load<uint64_t>(at);
    return swapped_ ? __builtin_bswap64(value) : value;
  }

 private:
  template <class T>
  static T load(const uint8_t* at) {
    T value;
    std::memcpy(&value, at, sizeof(value));
    return value;
  }

  bool swapped_ = false;
};

}  // namespace tfo
