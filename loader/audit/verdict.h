// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "loader/audit/prober.h"
#include "loader/keys/ring.h"

namespace tfo::audit {

/// A generation without its key.
struct KeyName {
  std::string id;  ///< 16 hex digits; empty where keys were given without ids
  std::string fingerprint;
  tfo_place place = TFO_PLACE_CURRENT;
};

/// The generation of `generations` whose key made this cookie for these addresses; null if none
/// did, or if it is not 8 bytes long: Linux makes no other.
const Generation* find_maker(const std::vector<Generation>& generations, const tfo_flow& flow,
                             const std::vector<uint8_t>& cookie);

/// What the audit says of one server.
enum class Verdict {
  current,
  previous,
  staged,
  retired,
  revoked,
  foreign,  ///< "private": a cookie that no key of the ring made
  length,   ///< "cookie_length": a cookie of another length than Linux makes
  off,      ///< a SYN-ACK without a cookie
  closed,
  unreachable,
  no_answer,
};

/// As the output names them: "current", "private", "cookie_length", "no_answer", ...
std::string_view to_string(Verdict verdict);

Verdict verdict_of(const Answer& answer, const std::optional<KeyName>& maker);

/// Does the server mint with the key that the whole farm should mint with?
inline bool is_in_step(Verdict verdict) { return verdict == Verdict::current; }

/// Does it mint with an older key, while another server mints with the current one?
bool is_stale(Verdict verdict, bool others_current);

/// In a few words, for a table: "in step", "stale: others mint with the current key".
std::string short_meaning(Verdict verdict, const Answer& answer, bool others_current);

/// What else there is to know about a verdict, and what to do; empty if nothing.
std::string long_meaning(Verdict verdict);

}  // namespace tfo::audit
