// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "loader/config_reader.h"

namespace tfo {
namespace {

using nlohmann::json;

/// Follows the parser through the document to know the path of a key that comes twice, which the
/// finished document no longer shows.
class DuplicateKeys {
 public:
  explicit DuplicateKeys(Complaints& complaints) : complaints_(complaints) {}

  bool operator()(json::parse_event_t event, const json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
        levels_.push_back(Level{.array = false});
        break;
      case json::parse_event_t::array_start:
        levels_.push_back(Level{.array = true});
        break;
      case json::parse_event_t::key:
        key(parsed.get<std::string>());
        break;
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end:
        levels_.pop_back();
        next_element();
        break;
      case json::parse_event_t::value:
        next_element();
        break;
    }
    return true;
  }

 private:
  struct Level {
    bool array;
    size_t index = 0;
    std::string key = {};
    std::set<std::string> seen = {};
  };

  void key(const std::string& name) {
    levels_.back().key = name;
    if (!levels_.back().seen.insert(name).second) {
      complaints_.add(path(), "is given twice in the same object", "keep one of the two");
    }
  }

  void next_element() {
    if (!levels_.empty() && levels_.back().array) ++levels_.back().index;
  }

  std::string path() const {
    std::string text;
    for (const Level& level : levels_) {
      if (level.array) {
        text += fmt::format("[{}]", level.index);
      } else {
        text += (text.empty() ? "" : ".") + level.key;
      }
    }
    return text;
  }

  Complaints& complaints_;
  std::vector<Level> levels_;
};

/// "file:line:column" of a byte position, counted from 1.
std::string place(std::string_view text, size_t byte, const std::string& file) {
  const std::string_view before = text.substr(0, byte > 0 ? byte - 1 : 0);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t newline = before.rfind('\n');
  const size_t column =
      newline == std::string_view::npos ? before.size() + 1 : before.size() - newline;
  return fmt::format("{}:{}:{}", file, line, column);
}

/// The parser's words without its own prefix "[json.exception...] parse error at line L, column C:
/// ".
std::string reason(const json::parse_error& error) {
  const std::string text = error.what();
  const size_t at = text.find(": ");
  return at == std::string::npos ? text : text.substr(at + 2);
}

/// "number overflow parsing '1e999'"
std::string reason(const json::out_of_range& error) {
  const std::string text = error.what();
  const size_t at = text.find("] ");
  return at == std::string::npos ? text : text.substr(at + 2);
}

}  // namespace

std::optional<json> parse_document(std::string_view text, const std::string& file,
                                   Complaints& complaints) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    complaints.add(file, "is empty",
                   R"(give a JSON object such as {"interfaces": [{"name": "eth0"}], ...})");
    return std::nullopt;
  }
  DuplicateKeys duplicates(complaints);
  const auto follow = [&](int, json::parse_event_t event, const json& parsed) {
    return duplicates(event, parsed);
  };
  try {
    return json::parse(text, follow, true, true);
  } catch (const json::parse_error& error) {
    complaints.add(place(text, error.byte, file), reason(error),
                   "give one JSON object; // and /* */ comments are allowed");
  } catch (const json::out_of_range& error) {  // a number that no double can hold
    complaints.add(file, reason(error), "give numbers within the range that their field allows");
  }
  return std::nullopt;
}

std::optional<std::string> nearest_word(std::string_view word,
                                        const std::vector<std::string>& known) {
  const auto distance = [&](const std::string& other) {
    std::vector<size_t> row(other.size() + 1);
    for (size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= word.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= other.size(); ++j) {
        const size_t substitute = diagonal + (word[i - 1] == other[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({substitute, row[j] + 1, row[j - 1] + 1});
      }
    }
    return row.back();
  };
  std::optional<std::string> best;
  size_t nearest = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& other : known) {
    const size_t d = distance(other);
    if (d < nearest && d < other.size()) {
      nearest = d;
      best = other;
    }
  }
  return best;
}

}  // namespace tfo
