// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "loader/keys/key.h"
#include "loader/keys/secret.h"
#include "loader/result.h"

namespace tfo {

/// Bounds of a derived pool's interval, in seconds; it is even, so that it has a middle.
inline constexpr int64_t kMinDerivedInterval = 10;
inline constexpr int64_t kMaxDerivedInterval = 7 * int64_t{86400};

/// Nothing, or what an interval must be.
Result<> check_derived_interval(int64_t interval);

/// The secret from which the keys of a farm are derived: one key for every interval of time.
///
/// The key of interval c (unix time / interval) is what the rotation daemon tofurkey makes of it:
/// 16 bytes of libsodium's crypto_kdf_blake2b_derive_from_key with subkey id c and context
/// "tofurkey" under the 32 bytes of the secret; in their order they are the hex digits of the
/// sysctl's text, so that the bytes that SipHash reads are those with each 32-bit word turned
/// around (Key::parse). A secret is one of two things:
///
///  - 32 or more bytes of any kind, of which the first 32 count (as tofurkey reads it);
///  - lines `INDEX SECRET`: from interval INDEX on this secret is in force, 64 hex digits. Lines
///    with # are comments. So a change of secret is an ordinary rotation.
///
/// It is taken for lines if it is text and one of its lines begins with a # or with a decimal
/// number and a blank; 32 random bytes do so once in 10^13 times. What is not such lines and has 60
/// hex digits in a row, or is text with a byte order mark, was meant as lines and is refused: taken
/// as plain it would give keys that no other node has. Wiped when it goes.
class DerivedSecret {
 public:
  static constexpr size_t kSize = 32;
  static constexpr size_t kMaxFile = size_t{64} * 1024;  ///< of lines; what follows is not read

  /// `content` is all of the file, or its first kMaxFile + 1 bytes. Errors name the line and never
  /// repeat anything of it.
  static Result<DerivedSecret> parse(std::string_view content);

  /// Reads a file that only its owner can reach (see open_private_file).
  static Result<DerivedSecret> load(const std::string& path);

  /// The key of interval `index`; none before the first line's INDEX.
  std::optional<Key> key(uint64_t index) const;

  /// The interval from which on there are keys; 0 for a plain secret.
  uint64_t first_index() const { return parts_.front().from; }

  /// A secret of zeros: what an unwritten or damaged file reads as.
  bool has_zero() const;
  /// Nothing, or why nobody may use it: it has_zero().
  Result<> check() const;

  /// Bytes, not lines?
  bool plain() const { return plain_; }

  friend bool operator==(const DerivedSecret& a, const DerivedSecret& b);

 private:
  using Bytes = std::vector<uint8_t, WipingAllocator<uint8_t>>;
  struct Part {
    uint64_t from;
    Bytes secret;  // kSize bytes
  };
  static Result<DerivedSecret> parse_lines(std::string_view content);
  static Result<Part> parse_line(std::string_view line);

  std::vector<Part> parts_;  // by from; at least one
  bool plain_ = false;
};

/// Which keys stand in a server's two slots.
struct DerivedSlots {
  uint64_t primary = 0;
  uint64_t backup = 0;  ///< the interval before in the first half of an interval, else the next one
};

/// The slots at a unix time of 0 or more, by tofurkey's rule. Before the first interval is over the
/// backup's index is -1 as an unsigned number.
DerivedSlots derived_slots(int64_t interval, int64_t unix_s);

/// "primary,backup" in the kernel's text form. Fails where there is no key yet, and for an interval
/// or time out of range. Secret!
Result<Secret> derived_text(const DerivedSecret& secret, int64_t interval, int64_t unix_s);

}  // namespace tfo
