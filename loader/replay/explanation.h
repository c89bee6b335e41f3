// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "loader/keys/ring.h"
#include "loader/replay/headers.h"
#include "loader/replay/option_walk.h"
#include "loader/replay/renewal_rules.h"
#include "loader/replay/servers_answer.h"
#include "loader/replay/world.h"

namespace tfo {

enum class KeyResult : uint8_t { kMatch, kNo, kExpired, kNotTried };

/// "match", "no", "expired", "not_tried".
const char* key_result_label(KeyResult result);

/// One key of the VIP's ring against a cookie.
struct KeyTrial {
  size_t number = 0;  // from 1, in the order in which keys are tried
  tfo_place place = TFO_PLACE_CURRENT;
  std::string fingerprint;
  ServerSlot slot = ServerSlot::kNone;  // in which the servers have it
  int64_t not_after = 0;                // unix seconds; 0: no such moment
  KeyResult result = KeyResult::kNotTried;
};

/// A frame and what the program made of it.
struct JudgedFrame {
  const EthernetFrame& frame;
  const tfo_load_config& config;  // of the program
  const KeyRing& ring;            // of the VIP that owns judgement.slot
  VipPolicy policy{};             // of that VIP
  uint64_t now_ns;                // the program's clock, unix time
  Judgement judgement;
  std::span<const uint8_t> left;  // the frame as the program left it
};

/// One packet's way through the stages. The verdict is the program's; the rest is told by the same
/// core compiled for the host, which must come to the same reason.
struct Explanation {
  Headers headers;
  Judgement judgement;
  OptionWalk options;          // of a SYN to a VIP; refers to the frame's bytes
  std::vector<KeyTrial> keys;  // if there is a cookie of 8 bytes: all of the ring, in order
  tfo_reason host_reason = TFO_INTERNAL_ERROR;
  std::string rule;                   // that decided, one sentence
  RenewalOutcome renewal;             // of a cookie that some key made
  std::vector<ServerAnswer> servers;  // to what the program left; none unless a SYN to a VIP

  bool is_syn() const { return headers.parsed < 0; }
  bool has_vip() const { return judgement.slot != TFO_NODE_SLOT; }
  /// Program and core differ: a defect of one of them.
  bool is_defect() const {
    return judgement.reason != host_reason || judgement.would != renewal.would ||
           judgement.verdict != renewal.verdict;
  }
};

Explanation explain(const JudgedFrame& judged);

}  // namespace tfo
