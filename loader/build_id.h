// SPDX-License-Identifier: BSD-2-Clause
#pragma once

namespace tfo {

/// Short hash of the commit that CMake was configured at, or "unknown". Not a macro: only one small
/// file is compiled anew when it changes.
extern const char* const kRevision;

}  // namespace tfo
