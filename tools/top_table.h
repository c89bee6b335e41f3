// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tfo {

/// How a piece of text stands out on a terminal that can show it.
enum class Mark { kPlain, kBold, kSoft, kGood, kWarn, kBad, kTitle };

struct Span {
  std::string text;
  Mark mark = Mark::kPlain;
};
using Line = std::vector<Span>;

struct TopCell {
  std::string text;
  double number = 0;  // what it sorts by, where the column is of numbers
  Mark mark = Mark::kPlain;
};

struct TopColumn {
  std::string title;
  bool number = true;
};

/// One of the tables that `tfoctl top` shows.
struct TopTable {
  std::string name;
  std::vector<TopColumn> columns;
  std::vector<std::vector<TopCell>> rows;
  std::string empty;      // said where there is no row
  size_t sorts_by = 0;    // column, unless the user chose one
  std::string more = {};  // said below it
};

/// Which column, and whether the other way round: numbers come largest first, texts from A.
struct TopSort {
  bool chosen = false;
  size_t column = 0;
  bool reversed = false;
};

/// `now`, `before`: replies to "overview"; `before` is null at first, and then there are no rates.
std::vector<TopTable> top_tables(const nlohmann::json& now, const nlohmann::json& before);

void sort_table(TopTable& table, const TopSort& sort);

/// Title line, then rows [from, from + most), cut to `width`. Columns that do not fit are left out.
std::vector<Line> table_lines(const TopTable& table, const TopSort& sort, size_t width, size_t from,
                              size_t most);

/// `text` in printable ASCII: whatever else might move the cursor, or is of unknown width.
std::string plain_text(std::string text);

/// "-" without a rate, "0", "0.4", "12", "1204", "35k".
std::string rate_text(double rate);

/// A member of an object that is a number, or 0.
double double_of(const nlohmann::json& object, const char* key);

}  // namespace tfo
