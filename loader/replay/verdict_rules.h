// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "loader/replay/explanation.h"

namespace tfo {

/// The slot of the servers that holds the key that matched; kNone if none did.
ServerSlot matched_slot(const std::vector<KeyTrial>& keys);

/// Why a SYN has this reason: one sentence, with the function of the kernel or the section of
/// RFC 7413 that says so.
std::string no_vip_rule(const Headers& headers);
std::string syn_rule(tfo_reason reason, const OptionWalk& options,
                     const std::vector<KeyTrial>& keys);

}  // namespace tfo
