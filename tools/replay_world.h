// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "loader/replay/world.h"
#include "tools/commands.h"

namespace tfo {

/// The node that packets are judged on: --config, or --key / --key-file, or neither of them: then
/// there are no keys and every destination counts as a VIP. Fails on options that contradict each
/// other or name what the configuration lacks. Of a configuration with errors, all of them are
/// written to context.err, each on its line. Needs the privileges to load BPF programs.
Result<ReplayWorld> open_world(Context& context, const WorldArgs& args);

}  // namespace tfo
