// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "loader/keys/secret.h"
#include "loader/result.h"

namespace tfo {

/// Small files that hold secrets: mode 0600 from the first byte, replaced as a whole (temporary
/// file, fsync, rename, fsync of the directory), so that a crash or a full disk leaves the old one.
/// Every error names the file. The directory is made (0700) if only its last component is missing.
Result<> write_private_file(const std::string& path, std::string_view text);

/// Nothing if there is none. Refused: not a regular file, a symbolic link, any permission for group
/// or others, an owner other than root and ourselves, more than `limit` bytes.
Result<std::optional<WipedString>> read_private_file(const std::string& path, size_t limit);

/// Fine if there is none.
Result<> remove_private_file(const std::string& path);

}  // namespace tfo
