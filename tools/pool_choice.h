// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

#include "loader/result.h"
#include "tools/context.h"

namespace tfo {

/// The pool meant: the one named, or the only one that tfod has.
Result<std::string> choose_pool(const Context& context, const std::string& name);

/// Is this a pool that the farm shares through etcd? An error if tfod has none of that name.
Result<bool> is_shared(const Context& context, const std::string& pool);

/// choose_pool() for commands that only shared pools have: the only shared one, and an error that
/// says so for others.
Result<std::string> choose_shared_pool(const Context& context, const std::string& name);

}  // namespace tfo
