// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "loader/config.h"

namespace tfo {

/// Collects what is wrong, so that one run tells everything.
class Complaints {
 public:
  /// `file` is what a complaint about the whole document names.
  explicit Complaints(std::string file) : file_(std::move(file)) {}

  /// `where` is a JSON path (empty: the whole document) or a place in the file.
  void add(std::string where, std::string wrong, std::string right);
  bool empty() const { return errors_.empty(); }
  std::vector<ConfigError> take() { return std::move(errors_); }

 private:
  std::string file_;
  std::vector<ConfigError> errors_;
};

/// A JSON value, the path that leads to it, and where to complain. Every reader below answers with
/// the value, or complains ("is a string; give ...") and answers with nothing.
class ConfigNode {
 public:
  ConfigNode(const nlohmann::json& value, std::string path, Complaints& complaints)
      : value_(&value), path_(std::move(path)), complaints_(&complaints) {}

  const std::string& path() const { return path_; }
  bool is_null() const { return value_->is_null(); }
  bool is_empty_array() const { return value_->is_array() && value_->empty(); }
  bool is_word(std::string_view word) const { return value_->is_string() && *value_ == word; }
  bool is_zero() const { return value_->is_number_integer() && value_->get<int64_t>() == 0; }

  std::optional<std::string> text(std::string_view right) const;
  std::optional<bool> boolean() const;
  std::optional<int64_t> integer(int64_t low, int64_t high, std::string_view what) const;
  /// Any number, such as 0.05.
  std::optional<double> number(double low, double high, std::string_view what) const;
  /// "24h", "90s", "0" or the number 0, within [low, high] or, if zero_allowed, 0.
  std::optional<std::chrono::seconds> duration(std::chrono::seconds low, std::chrono::seconds high,
                                               bool zero_allowed) const;
  /// As duration(), from "0" to `high`, and with milliseconds ("500ms").
  std::optional<std::chrono::milliseconds> fine_duration(std::chrono::seconds high) const;
  /// One of `choices`; `later` are known words that this version does not offer.
  std::optional<size_t> choice(const std::vector<std::string_view>& choices,
                               const std::vector<std::string_view>& later = {}) const;
  /// Elements of an array; complains if there are more than `limit`, and answers with the first of
  /// them.
  std::vector<ConfigNode> items(size_t limit, std::string_view right) const;

  void complain(std::string wrong, std::string right) const {
    complaints_->add(path_, std::move(wrong), std::move(right));
  }

 private:
  friend class ConfigObject;
  std::string kind() const;  // "is a string", "is missing a value", ...
  const nlohmann::json* value_;
  std::string path_;
  Complaints* complaints_;
};

/// The fields of a JSON object. finish() complains about those that nobody asked for.
class ConfigObject {
 public:
  /// Not an object: complains with `right`, and every field is absent without further words.
  ConfigObject(ConfigNode node, std::string_view right);

  std::optional<ConfigNode> optional(std::string_view name);
  std::optional<ConfigNode> required(std::string_view name, std::string_view right);
  /// Every (key, value), for objects whose keys are names that the user chose.
  std::vector<std::pair<std::string, ConfigNode>> members() const;
  bool valid() const { return valid_; }
  void finish();

 private:
  ConfigNode child(const std::string& name) const;
  ConfigNode node_;
  bool valid_;
  std::vector<std::string> known_;
};

/// Parses JSON with comments. Syntax errors (with line and column) and keys given twice (with their
/// path) go to `complaints`; after a syntax error there is no document.
std::optional<nlohmann::json> parse_document(std::string_view text, const std::string& file,
                                             Complaints& complaints);

/// The element of `known` that `word` most likely means, or nothing if none is near.
std::optional<std::string> nearest_word(std::string_view word,
                                        const std::vector<std::string>& known);

}  // namespace tfo
