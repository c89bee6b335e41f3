// SPDX-License-Identifier: BSD-2-Clause
#include "loader/config_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace tfo {
namespace {

std::string list(const std::vector<std::string_view>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += fmt::format("\"{}\"", words[i]);
  }
  return text;
}

}  // namespace

void Complaints::add(std::string where, std::string wrong, std::string right) {
  if (where.empty()) where = file_;
  errors_.push_back({std::move(where), std::move(wrong), std::move(right)});
}

std::string ConfigNode::kind() const {
  switch (value_->type()) {
    case nlohmann::json::value_t::null:
      return "is null";
    case nlohmann::json::value_t::object:
      return "is an object";
    case nlohmann::json::value_t::array:
      return "is an array";
    case nlohmann::json::value_t::string:
      return fmt::format("is the string \"{}\"", value_->get_ref<const std::string&>());
    default:
      return "is " + value_->dump();
  }
}

std::optional<std::string> ConfigNode::text(std::string_view right) const {
  if (value_->is_string()) return value_->get<std::string>();
  complain(kind(), fmt::format("give a string, {}", right));
  return std::nullopt;
}

std::optional<bool> ConfigNode::boolean() const {
  if (value_->is_boolean()) return value_->get<bool>();
  complain(kind(), "give true or false");
  return std::nullopt;
}

std::optional<int64_t> ConfigNode::integer(int64_t low, int64_t high, std::string_view what) const {
  // An unsigned value beyond int64 would turn negative in get<int64_t>(), and is out of range
  // anyway.
  const bool huge = value_->is_number_unsigned() && value_->get<uint64_t>() > INT64_MAX;
  if (value_->is_number_integer() && !huge) {
    const auto number = value_->get<int64_t>();
    if (number >= low && number <= high) return number;
  }
  complain(kind(), fmt::format("give {}, a whole number from {} to {}", what, low, high));
  return std::nullopt;
}

std::optional<double> ConfigNode::number(double low, double high, std::string_view what) const {
  if (value_->is_number()) {
    const auto number = value_->get<double>();
    if (number >= low && number <= high) return number;
  }
  complain(kind(), fmt::format("give {}, a number from {} to {}", what, low, high));
  return std::nullopt;
}

std::optional<std::chrono::seconds> ConfigNode::duration(std::chrono::seconds low,
                                                         std::chrono::seconds high,
                                                         bool zero_allowed) const {
  const std::string right =
      fmt::format("give a duration with its unit (s, m, h, d), from \"{}\" to \"{}\"{}",
                  duration_text(low), duration_text(high), zero_allowed ? ", or \"0\"" : "");
  std::optional<std::chrono::seconds> parsed;
  if (value_->is_string()) parsed = parse_duration(value_->get_ref<const std::string&>());
  if (is_zero()) parsed = std::chrono::seconds{0};
  const bool zero = parsed && parsed->count() == 0;
  if (parsed && ((*parsed >= low && *parsed <= high) || (zero && zero_allowed))) return parsed;
  complain(kind(), right);
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> ConfigNode::fine_duration(
    std::chrono::seconds high) const {
  std::optional<std::chrono::milliseconds> parsed;
  if (value_->is_string()) parsed = parse_fine_duration(value_->get_ref<const std::string&>());
  if (is_zero()) parsed = std::chrono::milliseconds{0};
  if (parsed && *parsed <= high) return parsed;
  complain(kind(), fmt::format("give a duration with its unit (ms, s, m, h), from \"0\" to \"{}\"",
                               duration_text(high)));
  return std::nullopt;
}

std::optional<size_t> ConfigNode::choice(const std::vector<std::string_view>& choices,
                                         const std::vector<std::string_view>& later) const {
  if (value_->is_string()) {
    const auto& word = value_->get_ref<const std::string&>();
    const auto found = std::find(choices.begin(), choices.end(), word);
    if (found != choices.end()) return found - choices.begin();
    if (std::find(later.begin(), later.end(), word) != later.end()) {
      complain(fmt::format("\"{}\" is not available in this version yet", word),
               "give " + list(choices));
      return std::nullopt;
    }
  }
  complain(kind(), "give " + list(choices));
  return std::nullopt;
}

std::vector<ConfigNode> ConfigNode::items(size_t limit, std::string_view right) const {
  std::vector<ConfigNode> nodes;
  if (!value_->is_array()) {
    complain(kind(), fmt::format("give an array, {}", right));
    return nodes;
  }
  if (value_->size() > limit) {
    complain(fmt::format("has {} elements", value_->size()), fmt::format("give at most {}", limit));
  }
  const size_t count = std::min(value_->size(), limit);
  for (size_t i = 0; i < count; ++i) {
    nodes.emplace_back((*value_)[i], fmt::format("{}[{}]", path_, i), *complaints_);
  }
  return nodes;
}

ConfigObject::ConfigObject(ConfigNode node, std::string_view right)
    : node_(std::move(node)), valid_(node_.value_->is_object()) {
  if (!valid_) node_.complain(node_.kind(), fmt::format("give an object, {}", right));
}

ConfigNode ConfigObject::child(const std::string& name) const {
  const std::string path = node_.path_.empty() ? name : node_.path_ + "." + name;
  return {(*node_.value_)[name], path, *node_.complaints_};
}

std::optional<ConfigNode> ConfigObject::optional(std::string_view name) {
  known_.emplace_back(name);
  if (!valid_ || !node_.value_->contains(known_.back())) return std::nullopt;
  return child(known_.back());
}

std::optional<ConfigNode> ConfigObject::required(std::string_view name, std::string_view right) {
  std::optional<ConfigNode> node = optional(name);
  if (!node && valid_) {
    node_.complain(fmt::format("has no \"{}\"", name), fmt::format("give {}", right));
  }
  return node;
}

std::vector<std::pair<std::string, ConfigNode>> ConfigObject::members() const {
  std::vector<std::pair<std::string, ConfigNode>> all;
  if (!valid_) return all;
  for (const auto& item : node_.value_->items()) all.emplace_back(item.key(), child(item.key()));
  return all;
}

void ConfigObject::finish() {
  if (!valid_) return;
  for (const auto& [name, node] : members()) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    const auto meant = nearest_word(name, known_);
    node.complain("is no known field", meant ? fmt::format("did you mean \"{}\"?", *meant)
                                             : fmt::format("remove it; the fields here are {}",
                                                           fmt::join(known_, ", ")));
  }
}

}  // namespace tfo
