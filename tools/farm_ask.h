// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tools/client.h"
#include "tools/context.h"
#include "tools/farm_goal.h"

namespace tfo {

/// Asks `command` of tfod ("key-rotate", "farm-request") for a pool that etcd shares, once and
/// never again, whatever becomes of it. Returns the request's id; empty: tfod took it, and nothing
/// is to be waited for.
tl::expected<std::string, CallError> ask_farm(const Context& context, const std::string& command,
                                              nlohmann::json arguments);

/// Waits until the rotator has taken or refused request `id`, at most 10 s, and prints what came of
/// it: `done` if it was taken. Returns the exit code.
int hear_of(Context& context, const std::string& pool, const std::string& id,
            const std::string& done);

/// ask_farm() and hear_of().
int ask_and_hear(Context& context, const std::string& pool, nlohmann::json request,
                 const std::string& done);

/// Asks and waits until `goal` is reached, with progress on standard error, at most `timeout`
/// seconds. Ctrl-C ends the waiting, not what was asked. Prints how it ended; exit code 0 only if
/// it is done and acknowledged by all.
int ask_and_wait(Context& context, const std::string& command, nlohmann::json arguments,
                 FarmGoal goal, double timeout);

}  // namespace tfo
