// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "loader/keys/clock.h"

namespace tfo {

/// tfod's command line, and the daemon until it ends. Returns the process's exit code.
int run_tfod(int argc, char** argv, const Clock& clock);

}  // namespace tfo
