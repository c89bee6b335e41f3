// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loader/audit/verdict.h"
#include "tools/commands.h"

namespace tfo {

/// What the one who knows the keys says of the cookies that an audit collected.
struct AuditMatch {
  std::string pool;                  // empty: keys from the command line
  std::string phase;                 // of a rotation: "steady", ...; empty with bare keys
  std::vector<audit::KeyName> ring;  // every generation
  std::vector<std::optional<audit::KeyName>> makers;  // one for each answer
  std::string store = {};                // KeyStore::kind() of the pool; empty with bare keys
  int64_t servers_change_for = 0;        // seconds; see audit::servers_change_for()
  std::vector<std::string> doubts = {};  // why the ring itself may be wrong: "ID (EVIDENCE)"
};

/// Which generation made the cookie of each answer: asked of tfod, whose keys never leave it
/// (command "key-match"), or found with the keys given in `args`: the first is current, the second
/// previous, the others retired, as `key import` takes them. No answers: only the ring, and
/// whether that works at all.
Result<AuditMatch> match_cookies(Context& context, const AuditArgs& args,
                                 const std::vector<Key>& keys,
                                 const std::vector<audit::Answer>& answers);

/// 16 hex digits for a cookie of 8 bytes; in the order of the packet.
std::string cookie_text(const std::vector<uint8_t>& cookie);

}  // namespace tfo
