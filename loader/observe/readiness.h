// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "loader/observe/view.h"

namespace tfo {

/// Why this node does not do its work yet, a line each: an interface without the program, a pool
/// without a key that is good now. Empty: it does. A guard that is blind or a key that drifted is a
/// matter of conditions, not of this.
std::string what_lacks(const View& view);

}  // namespace tfo
