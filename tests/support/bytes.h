// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tfo::test {

using Bytes = std::vector<uint8_t>;
using View = std::span<const uint8_t>;

/// An IP address as it stands on the wire: the first 4 bytes for IPv4, all 16 for IPv6.
struct Address {
  bool v6 = false;
  std::array<uint8_t, 16> bytes{};

  /// Aborts on text that is no address: test input is always right.
  static Address of(const std::string& text);
  View wire() const { return View(bytes).first(v6 ? 16 : 4); }
  std::string text() const;
  bool operator==(const Address&) const = default;
};

/// The parts, one after the other.
Bytes join(std::initializer_list<View> parts);
/// `count` bytes of a pattern that repeats late and holds no small option kinds at its start.
Bytes pattern(size_t count);
/// From hex digits; blanks are skipped. Aborts on anything else.
Bytes from_hex(std::string_view text);
std::string to_hex(View bytes);
/// 16 bytes a line with offsets, for failure logs.
std::string hex_dump(View bytes);

void put16(Bytes& out, size_t at, uint16_t value);  ///< big-endian
void put32(Bytes& out, size_t at, uint32_t value);  ///< big-endian

/// RFC 1071 over the parts as if they were one byte string; parts but the last have even length.
uint16_t internet_checksum(std::initializer_list<View> parts);

}  // namespace tfo::test
