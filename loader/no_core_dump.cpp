// SPDX-License-Identifier: BSD-2-Clause
#include "loader/no_core_dump.h"

#include <sys/prctl.h>
#include <sys/resource.h>

namespace tfo {

Result<> forbid_core_dumps() {
  if (prctl(PR_SET_DUMPABLE, 0) != 0) return fail_errno("cannot become undumpable");
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0) return fail_errno("cannot forbid core dumps");
  return {};
}

}  // namespace tfo
