// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "loader/result.h"

namespace tfo {

/// No core dump of this process, by whatever way it dies, and nobody but CAP_SYS_PTRACE may trace
/// it or read its memory: keys pass through it. To be called first of all in main().
///
/// PR_SET_DUMPABLE is what counts: do_coredump() in fs/coredump.c asks for it before anything else,
/// while RLIMIT_CORE does not hold for a core_pattern that is a pipe. Credentials that only shrink
/// (drop_privileges()) leave it as it is; gaining some would set fs.suid_dumpable (commit_creds()
/// in kernel/cred.c). From here on /proc/self belongs to root.
Result<> forbid_core_dumps();

}  // namespace tfo
