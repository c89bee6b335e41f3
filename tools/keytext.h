// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "loader/keys/key.h"
#include "loader/result.h"
#include "tools/commands.h"

namespace tfo {

inline constexpr size_t kMostKeys = 1024;  // of one command

/// The keys of --key or --key-file, in their order; at least one. Both given, or neither, is an
/// error, and so is more than `most` keys. A file holds one or more KEYTEXT a line, separated by
/// commas; blank lines and those that begin with '#' are passed over; "-" is standard input.
/// Errors name the place, never the text.
Result<std::vector<Key>> read_keys(Context& context, const KeySource& source, size_t most);

}  // namespace tfo
