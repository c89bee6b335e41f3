// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// The generated header uses the types of tfo_abi.h and does not include it.
// clang-format off
#include "bpf/tfo_abi.h"
#include <tfo_egress.skel.h>
// clang-format on

#include "loader/dataplane/skeleton.h"

namespace tfo {

using EgressSkeleton = Skeleton<tfo_egress>;

}  // namespace tfo
