// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "loader/keys/secret.h"
#include "loader/result.h"

namespace tfo {

/// The 16 secret bytes of a Fast Open key, in the order in which SipHash reads them.
///
/// The kernel's text form is four hex words; each word is stored little-endian
/// (proc_tcp_fastopen_key and sscanf_key in net/ipv4/sysctl_net_ipv4.c), so that
/// 00112233-44556677-8899aabb-ccddeeff is the bytes 33 22 11 00 77 66 55 44 bb aa 99 88 ff ee dd
/// cc. Wiped on destruction. Compared in constant time.
class Key {
 public:
  static constexpr std::size_t kSize = 16;
  static constexpr std::size_t kTextSize = 35;
  using Bytes = std::array<uint8_t, kSize>;

  /// The all-zero key: a placeholder, refused in a ring.
  Key() = default;
  explicit Key(const Bytes& bytes) : bytes_(bytes) {}
  Key(const Key&) = default;
  Key& operator=(const Key&) = default;
  ~Key();

  /// Exactly xxxxxxxx-xxxxxxxx-xxxxxxxx-xxxxxxxx, upper or lower case. The kernel's own parser
  /// takes far more (missing digits, 0x, trailing junk) and silently makes another key of it. The
  /// error never repeats the text. The all-zero key parses: `cookie` and `replay` may use it.
  static Result<Key> parse(std::string_view text);

  /// One or more key texts separated by commas, as in tcp_fastopen_key. The error names the place.
  static Result<std::vector<Key>> parse_list(std::string_view text);

  /// 16 bytes from the kernel's random source; never all zero.
  static Key random();

  /// The kernel's text form. Secret!
  Secret text() const;

  /// Eight hex digits of a keyed BLAKE2b: safe to show, the same on every node.
  std::string fingerprint() const;

  /// The halves as SipHash takes them: little-endian bytes 0..7 and 8..15.
  uint64_t k0() const;
  uint64_t k1() const;

  const Bytes& bytes() const { return bytes_; }
  bool is_zero() const;

  friend bool operator==(const Key& a, const Key& b);

 private:
  Bytes bytes_{};
};

}  // namespace tfo
