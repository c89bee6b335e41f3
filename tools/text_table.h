// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace tfo {

/// A plain text table: columns as wide as their widest cell, two blanks between them. The first
/// column and those marked with '<' are flush left, the others flush right.
class TextTable {
 public:
  /// Titles; a leading '<' means flush left and is not shown.
  explicit TextTable(const std::vector<std::string>& titles);

  /// Missing cells are empty; control characters are shown as '?'.
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.size() == 1; }
  void print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;  // the titles first
  std::vector<bool> left_;
};

/// `text` without control characters, which could rewrite a terminal.
std::string printable(std::string text);

/// Seconds as people say them: "42s", "1h 5m", "3d 4h".
std::string duration_words(int64_t seconds);

/// Unix seconds as "2026-01-31 12:00:00Z"; "-" for 0 or less.
std::string time_words(int64_t unix_seconds);

}  // namespace tfo
