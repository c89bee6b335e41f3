// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>

namespace tfo {

/// "2026-01-31 23:59:59 UTC".
std::string utc_text(int64_t unix_s);

}  // namespace tfo
