// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "bpf/tfo_abi.h"

namespace tfo {

/// What came of the handshakes of one load (struct tfo_guard_head and its row) in the last
/// TFO_BUCKETS buckets of 9.2 s.
struct HandshakeRing {
  struct Bucket {
    uint32_t opened = 0;
    uint32_t unanswered = 0;  // of those, until now
    uint32_t reset = 0;  // RSTs that came in this bucket, whenever their handshakes were opened
  };
  uint32_t bucket = 0;                    // the present one: tfo_bucket()
  uint32_t settled_for = 0;               // buckets from this age on ended kPatience ago, or longer
  std::array<Bucket, TFO_BUCKETS> age{};  // by how many buckets before the present one they are

  /// Who has not answered a SYN-ACK for so long does not mean to; ns.
  static constexpr uint64_t kPatience = 3'000'000'000;
};

/// As the next packet would find it at `now_ns` of the programs' clock.
HandshakeRing handshake_ring(tfo_guard_head head, tfo_guard_row row, uint64_t now_ns);

/// Of the same load, time and again: counters of what failed. They begin at 0, whatever came
/// before; what the last minute before the first look brought is counted by the second one.
class FailedHandshakes {
 public:
  void look(const HandshakeRing& ring);

  uint64_t opened() const { return opened_; }          // more than kPatience ago
  uint64_t unanswered() const { return unanswered_; }  // of those, within kPatience
  uint64_t reset() const { return reset_; }
  uint64_t failed() const { return unanswered_ + reset_; }

 private:
  static constexpr uint32_t kLookBack = 7;  // buckets: a minute
  std::optional<uint32_t> next_;            // the bucket that is counted next
  uint64_t opened_ = 0, unanswered_ = 0, reset_ = 0;
};

}  // namespace tfo
