// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "loader/keys/ring.h"
#include "loader/result.h"

namespace tfo::audit {

/// The control command "key-match": which generation of a pool made a cookie, without its key
/// leaving tfod. Request: {"cookies": [{"source": ADDRESS, "destination": ADDRESS, "cookie": HEX},
/// ...]}, the addresses of the SYN, the bytes in the order of the packet. Reply: {"pool": NAME,
/// "phase": PHASE, "generations": [{"id", "fingerprint", "place"}, ...], "makers": [one of them, or
/// null if no key of the ring made the cookie, ...]}. tfod adds "store" (KeyStore::kind()),
/// "doubts" and "servers_change_for" (pool_state.h).
Result<nlohmann::json> answer_key_match(const std::string& pool, const KeyRing& ring,
                                        const nlohmann::json& request);

}  // namespace tfo::audit
