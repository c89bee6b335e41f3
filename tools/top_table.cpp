// SPDX-License-Identifier: BSD-2-Clause
#include "tools/top_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tfo {
namespace {

constexpr size_t kGap = 1;

std::vector<size_t> widths_of(const TopTable& table) {
  std::vector<size_t> widths;
  widths.reserve(table.columns.size());
  for (const TopColumn& column : table.columns) widths.push_back(column.title.size() + 1);
  for (const auto& row : table.rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].text.size());
  }
  return widths;
}

/// How many columns fit; the last one that does not, if it is text, takes what is left.
size_t fitting(const TopTable& table, std::vector<size_t>& widths, size_t width) {
  size_t used = 0;
  for (size_t i = 0; i < widths.size(); ++i) {
    const size_t gap = i == 0 ? 0 : kGap;
    if (used + gap + widths[i] <= width) {
      used += gap + widths[i];
      continue;
    }
    constexpr size_t kUseful = 8;
    if (table.columns[i].number || used + gap + kUseful > width) return std::max<size_t>(i, 1);
    widths[i] = width - used - gap;
    return i + 1;
  }
  return widths.size();
}

std::string padded(const std::string& text, size_t width, bool right) {
  const std::string cut = text.substr(0, width);
  return right ? fmt::format("{:>{}}", cut, width) : fmt::format("{:<{}}", cut, width);
}

}  // namespace

void sort_table(TopTable& table, const TopSort& sort) {
  const size_t at = sort.chosen ? std::min(sort.column, table.columns.size() - 1) : table.sorts_by;
  const bool numbers = table.columns[at].number;
  const auto first = [&](const auto& a, const auto& b) {
    return numbers ? a[at].number > b[at].number : a[at].text < b[at].text;
  };
  std::ranges::stable_sort(table.rows, [&](const auto& a, const auto& b) {
    return sort.reversed ? first(b, a) : first(a, b);
  });
}

std::vector<Line> table_lines(const TopTable& table, const TopSort& sort, size_t width, size_t from,
                              size_t most) {
  if (table.rows.empty()) return {{{plain_text(table.empty).substr(0, width), Mark::kSoft}}};
  std::vector<size_t> widths = widths_of(table);
  const size_t shown = fitting(table, widths, width);
  const size_t sorted = sort.chosen ? sort.column : table.sorts_by;
  std::vector<Line> lines;
  std::string title;
  for (size_t i = 0; i < shown; ++i) {
    const std::string text = table.columns[i].title + (i == sorted ? "*" : "");
    title += std::string(i == 0 ? 0 : kGap, ' ') + padded(text, widths[i], table.columns[i].number);
  }
  lines.push_back({{padded(title, width, false), Mark::kTitle}});
  for (size_t r = from; r < table.rows.size() && r - from < most; ++r) {
    Line line;
    for (size_t i = 0; i < shown; ++i) {
      const TopCell& cell = table.rows[r][i];
      if (i > 0) line.push_back({std::string(kGap, ' ')});
      line.push_back(
          {padded(plain_text(cell.text), widths[i], table.columns[i].number), cell.mark});
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string plain_text(std::string text) {
  for (char& c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code >= 0x7f) c = '?';
  }
  return text;
}

std::string rate_text(double rate) {
  if (rate < 0) return "-";
  if (rate == 0) return "0";
  if (rate < 9.95) return fmt::format("{:.1f}", rate);
  if (rate < 99'999.5) return fmt::format("{:.0f}", rate);
  return rate < 99'999'500 ? fmt::format("{:.0f}k", rate / 1000)
                           : fmt::format("{:.0f}M", rate / 1e6);
}

double double_of(const nlohmann::json& object, const char* key) {
  if (!object.is_object()) return 0;
  const auto field = object.find(key);
  return field != object.end() && field->is_number() ? field->get<double>() : 0;
}

}  // namespace tfo
