// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "loader/config.h"
#include "loader/result.h"

namespace tfo {

/// New files for the owner only: keys pass through this process. Blocks the signals that the event
/// loop takes; call before any thread starts.
Result<> harden_process();

/// Do we have what this configuration needs at start-up? An error names every missing capability,
/// what it is for and how to get it.
Result<> check_capabilities(const Config& config);

/// Keeps CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (those of them that we have), drops every other
/// capability for good, from the bounding set too where that is allowed (CAP_SETPCAP), and sets
/// no_new_privs. For the calling thread and those that it starts later.
Result<> drop_privileges();

}  // namespace tfo
