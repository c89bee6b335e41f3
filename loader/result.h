// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace tfo {

/// Why something failed, in words for the person who can mend it: names the field, file, interface
/// or flag, and what to do. Never holds a secret.
struct Error {
  std::string message;

  /// The same error, seen from one level up: "context: message".
  Error in(const std::string& context) && { return Error{context + ": " + message}; }
};

/// A value, or why there is none. Functions that can fail return it; they do not throw.
template <class T = void>
using Result = tl::expected<T, Error>;

/// A failure, ready to be returned from any function that returns a Result.
inline tl::unexpected<Error> fail(std::string message) {
  return tl::unexpected<Error>(Error{std::move(message)});
}

/// fail("what: strerror(error)"). `error` is an errno value, positive or negated as libbpf returns
/// it.
inline tl::unexpected<Error> fail_errno(const std::string& what, int error = errno) {
  return fail(what + ": " + std::strerror(error < 0 ? -error : error));
}

}  // namespace tfo
