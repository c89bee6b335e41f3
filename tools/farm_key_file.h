// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "loader/result.h"
#include "loader/rotation/seal.h"

namespace tfo {

/// The farm key file, or nothing if there is none. Errors name it.
Result<std::optional<rotation::FarmKey>> read_farm_key(const std::string& path);

/// Makes the file (0600 from its first byte) with one random line, number 1. Whatever is there,
/// is not replaced.
Result<rotation::FarmKey> make_farm_key(const std::string& path);

/// Appends a random line with the next number; its number. What else stands in the file stays.
Result<uint32_t> append_farm_key(const std::string& path);

}  // namespace tfo
