// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/context.h"

namespace tfo {

/// Reads the command line (without the program's name) and runs the command: `tfoctl OBJECT
/// COMMAND`, whole words only, global options before or after. Returns the exit code; help and
/// version go to context.out with 0, wrong usage to context.err with kExitFailed. What looks like
/// a key is never repeated.
int run_tfoctl(Context& context, std::vector<std::string> arguments);

}  // namespace tfo
