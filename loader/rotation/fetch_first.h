// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "loader/event_loop.h"
#include "loader/keys/clock.h"
#include "loader/result.h"
#include "loader/rotation/agent.h"

namespace tfo::rotation {

/// What an error says where there is no first document. `why`: what fetch_first() said.
std::string no_document(const Settings& settings, const std::string& why);

/// fetch_first() on a loop that runs already, which is never blocked by it.
class FirstFetch {
 public:
  using Done = std::function<void(Result<>)>;

  /// `done` is called from the loop, once, after at most `patience`; it must not destroy the fetch
  /// itself. `loop` and `clock` outlive it.
  static Result<std::unique_ptr<FirstFetch>> start(EventLoop& loop, const Settings& settings,
                                                   const Clock& clock,
                                                   std::chrono::milliseconds patience, Done done);
  virtual ~FirstFetch() = default;
};

}  // namespace tfo::rotation
