// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <utility>

#include "loader/event_loop.h"

namespace tfo {

/// For other threads: what `make` returns in the loop's thread; nothing if the loop does not come
/// to it within 5 s, or ends before.
template <class Make>
auto ask_loop(EventLoop& loop, Make make) -> std::optional<decltype(make())> {
  constexpr std::chrono::seconds kPatience{5};
  auto answer = std::make_shared<std::promise<decltype(make())>>();
  auto future = answer->get_future();
  loop.post([answer = std::move(answer), make] { answer->set_value(make()); });
  if (future.wait_for(kPatience) != std::future_status::ready) return std::nullopt;
  try {
    return future.get();
  } catch (const std::future_error&) {
    return std::nullopt;
  }
}

}  // namespace tfo
