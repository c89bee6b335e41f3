// SPDX-License-Identifier: BSD-2-Clause
#include "tools/text_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <utility>

namespace tfo {

std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

TextTable::TextTable(const std::vector<std::string>& titles) {
  std::vector<std::string> row;
  for (const std::string& title : titles) {
    const bool marked = !title.empty() && title[0] == '<';
    left_.push_back(marked || left_.empty());
    row.push_back(marked ? title.substr(1) : title);
  }
  rows_.push_back(std::move(row));
}

void TextTable::add(std::vector<std::string> cells) {
  cells.resize(left_.size());
  for (std::string& cell : cells) cell = printable(std::move(cell));
  rows_.push_back(std::move(cells));
}

void TextTable::print(std::ostream& out) const {
  std::vector<size_t> width(left_.size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); i++) width[i] = std::max(width[i], row[i].size());
  }
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); i++) {
      line += i == 0 ? "" : "  ";
      line += left_[i] ? fmt::format("{:<{}}", row[i], width[i])
                       : fmt::format("{:>{}}", row[i], width[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  }
}

std::string duration_words(int64_t seconds) {
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m {}s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{}h {}m", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{}d {}h", seconds / 86400, seconds % 86400 / 3600);
}

std::string time_words(int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm parts{};
  if (unix_seconds <= 0 || gmtime_r(&time, &parts) == nullptr) return "-";
  char text[32];
  const size_t length = std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%SZ", &parts);
  return {text, length};
}

}  // namespace tfo
