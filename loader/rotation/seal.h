// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "loader/keys/secret.h"
#include "loader/result.h"
#include "loader/rotation/document.h"

namespace tfo::rotation {

/// What all members of a farm share: a private file (open_private_file()) of up to kMaxLines lines
/// `NUMBER HEX64`, # begins a comment. The highest number is the newest key; the others still open
/// what was sealed before. Wiped when it goes.
class FarmKey {
 public:
  static constexpr size_t kSize = 32;
  static constexpr size_t kMaxLines = 4;

  /// Errors name the line and never repeat anything of it. Refused: numbers outside 1 to 2^31-1,
  /// a number twice, a key of zeros, a key twice.
  static Result<FarmKey> parse(std::string_view text);
  static Result<FarmKey> load(const std::string& path);

  /// A line for a new file, with a random key. Secret!
  static Secret new_line(uint32_t number);

  uint32_t newest() const;
  std::vector<uint32_t> numbers() const;  ///< ascending
  /// Eight hex digits of a keyed BLAKE2b, safe to show; empty if there is no such line.
  std::string fingerprint(uint32_t number) const;

 private:
  friend class Sealer;
  using Bytes = std::vector<uint8_t, WipingAllocator<uint8_t>>;
  struct Line {
    uint32_t number;
    Bytes key;
  };
  std::vector<Line> lines_;  // by number
};

/// Where a sealed value belongs: whoever can write to etcd cannot move it elsewhere.
struct Place {
  std::string farm;
  std::string pool;
  std::string name;  ///< below "/tfo/FARM/POOL/": "ring", "ack/s1"
};

/// A value that was opened.
struct Opened {
  WipedString text;
  Counter counter;   ///< as it was sealed with it
  uint32_t key = 0;  ///< number of the farm key's line
};

/// XChaCha20-Poly1305 (libsodium) under one line of the farm key; associated data are the place,
/// the counter and the line's number, which stand readable in the value: {"v":1, "key":N,
/// "counter":[I,S], "nonce":BASE64, "box":BASE64}.
class Sealer {
 public:
  Sealer(std::string farm, std::string pool) : farm_(std::move(farm)), pool_(std::move(pool)) {}

  /// `number` must be a line of `key`.
  std::string seal(const FarmKey& key, uint32_t number, const std::string& name,
                   const Counter& counter, std::string_view text) const;

  /// Refused, each with a sentence that says which it is: not such a value, a line that the file
  /// does not have, a line below `min_key`, a value that was changed or belongs elsewhere. At most
  /// 1 MiB. Errors name the place and hold nothing of the value.
  Result<Opened> open(const FarmKey& key, uint32_t min_key, const std::string& name,
                      std::string_view value) const;

  /// The readable counter of a value that need not be genuine; nothing if there is none.
  static std::optional<Counter> claimed_counter(std::string_view value);

 private:
  std::string farm_;
  std::string pool_;
};

}  // namespace tfo::rotation
