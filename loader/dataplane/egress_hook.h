// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "loader/dataplane/pins.h"
#include "loader/result.h"

namespace tfo {

/// Where packets leave an interface (tc egress). The program stays there when this process goes.
/// From Linux 6.6 on it is held by a link (tcx), pinned as that of XDP is; before that by a filter
/// on clsact, known by its priority and handle, and by the pinned program that it has.

/// Attaches the program, or puts it in place of ours without a gap.
Result<> attach_egress(const PinDirectory& pins, const std::string& interface, unsigned ifindex,
                       int program_fd);

/// Is ours still there?
bool is_egress_attached(const PinDirectory& pins, const std::string& interface, unsigned ifindex);

/// Takes ours off, whoever pinned it.
void remove_egress(const PinDirectory& pins, const std::string& interface);

/// The same two ways one by one, for tests: false where this kernel has no tcx.
Result<bool> attach_egress_link(const PinDirectory& pins, const std::string& interface,
                                unsigned ifindex, int program_fd);
Result<> attach_egress_filter(const PinDirectory& pins, const std::string& interface,
                              unsigned ifindex, int program_fd);

}  // namespace tfo
