// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tools/top_table.h"

namespace tfo {

inline constexpr size_t kTopTables = 5;

/// What the user has chosen, and what went wrong.
struct TopState {
  size_t table = 0;
  std::array<TopSort, kTopTables> sorts = {};
  size_t from = 0;  // first row that is shown
  bool paused = false;
  std::string trouble = {};  // why there is nothing newer than `now`

  /// What a key ("q", "up", "tab", "<" ...) does; false: it ends. `now`: what is shown.
  bool press(std::string_view key, const nlohmann::json& now);
};

struct TopSize {
  size_t columns = 80;
  size_t rows = 24;  // 0: as many as there are
};

/// The whole screen, at most `size`.
std::vector<Line> top_frame(const nlohmann::json& now, const nlohmann::json& before,
                            const TopState& state, TopSize size);

/// As text; with `colours` as a terminal of ECMA-48 shows it.
std::string text_of_line(const Line& line, bool colours);

}  // namespace tfo
