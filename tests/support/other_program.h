// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "loader/dataplane/fd.h"

namespace tfo::test {

/// Someone else's programs at what leaves an interface, before all others. Each is gone with its
/// descriptor; none: no tcx here (before Linux 6.6).
///
/// Lets everything pass and keeps it from those after it.
Fd end_chain(const std::string& interface);
/// As NAT does, gives TCP over IPv4 another source port.
Fd rewrite_ports(const std::string& interface);

}  // namespace tfo::test
