// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "loader/result.h"
#include "tools/context.h"

namespace tfo {

/// Why a request got no answer.
struct CallError {
  Error error;
  bool absent = false;   // nobody listens on the socket: no daemon runs
  bool unknown = false;  // it was sent, and no whole reply came: it may have been done
};

/// One request to the daemon: {"command": command, ...arguments} out, one line of JSON back.
/// Returns the reply's "result". The arguments' strings are wiped once sent. Messages name the
/// socket and say how to start a daemon.
tl::expected<nlohmann::json, CallError> try_call(const Context& context, const std::string& command,
                                                 nlohmann::json arguments = nullptr);

/// try_call() for commands that need a daemon. With --instance, refuses to talk to another one.
Result<nlohmann::json> call(const Context& context, const std::string& command,
                            nlohmann::json arguments = nullptr);

/// Asks the daemon which instance it is; an error if it is not the wanted one.
Result<> check_instance(const Context& context, const nlohmann::json& status);

/// A member as text: strings as they are, numbers, "yes"/"no", "-" if absent or null.
std::string text_of(const nlohmann::json& object, const std::string& key);

/// A member as a number; 0 if absent or not one.
int64_t number_of(const nlohmann::json& object, const std::string& key);

/// A member, or an empty object.
const nlohmann::json& member_of(const nlohmann::json& object, const std::string& key);

/// A member that is an array, or an empty array.
nlohmann::json array_of(const nlohmann::json& object, const std::string& key);

}  // namespace tfo
