// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>

namespace tfo {

/// Do the servers' SYN-ACKs to one VIP's clients leave through this node? That its interfaces have
/// "egress" does not say so: servers may answer past it (direct server return). In the exact form
/// nothing would be settled then, and honest clients would soon be over their limits, so it is
/// armed by proof, and disarmed when many handshakes bring none. One SYN-ACK in all that time is
/// enough: a share could be pressed by SYNs that servers never answer.
class EgressProof {
 public:
  /// So many handshakes, over so many seconds or more, without one SYN-ACK: they go elsewhere.
  static constexpr uint32_t kUnanswered = 20;
  static constexpr int64_t kWhile = 30;

  /// `armed`: the tfod before this one had its proof. `answers`: struct tfo_guard_counters;
  /// `opened`: struct tfo_guard_head, of the VIP, wraps. Boot seconds.
  EgressProof(bool armed, uint64_t answers, uint32_t opened, int64_t now)
      : armed_(armed), answers_(answers), opened_(opened), since_(now) {}

  void look(uint64_t answers, uint32_t opened, int64_t now);

  bool armed() const { return armed_; }
  bool blind() const { return blind_; }
  /// Opened since the last SYN-ACK that was seen.
  uint32_t unanswered() const { return unanswered_; }

 private:
  void begin(uint64_t answers, uint32_t opened, int64_t now);

  bool armed_;
  bool blind_ = false;
  uint64_t answers_;
  uint32_t opened_;  // then
  int64_t since_;    // at most one look before the first handshake after it
  uint32_t unanswered_ = 0;
};

}  // namespace tfo
