// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "loader/keys/secret.h"
#include "loader/result.h"
#include "loader/rotation/document.h"

namespace tfo::rotation {

/// JSON whose strings, the parser's own buffers included, are wiped when they are freed.
using WipedJson = nlohmann::basic_json<std::map, std::vector, WipedString>;

/// Reads the fields of one JSON object that must be exactly as this release writes it. The first
/// thing that is not so is remembered, and every value after it is empty. Errors name the field and
/// never repeat its value: it may be a key.
template <class Json>
class ObjectReader {
 public:
  /// Keeps a reference. `where` goes before the names of fields: "generations[2]".
  ObjectReader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) wrong("", "is not an object");
  }

  const Json& value(const char* name) {
    static const Json kNull;
    asked_.insert(name);
    if (!error_ && object_.contains(name)) return object_.at(name);
    wrong(name, "is missing");
    return kNull;
  }

  /// An array, or one without elements.
  const Json& array(const char* name) {
    static const Json kEmpty = Json::array();
    const Json& json = value(name);
    if (json.is_array()) return json;
    wrong(name, "is not a list");
    return kEmpty;
  }

  bool boolean(const char* name) {
    const Json& json = value(name);
    if (json.is_boolean()) return json.template get<bool>();
    wrong(name, "is neither true nor false");
    return false;
  }

  template <class Number>
  Number number(const char* name) {
    const auto read = number_of<Number>(value(name));
    if (!read) wrong(name, "is not a whole number in range");
    return read.value_or(0);
  }

  std::string text(const char* name) {
    const auto read = text_of(value(name));
    if (!read) wrong(name, "is not a string");
    return read.value_or("");
  }

  /// 16 hex digits; 0 only where `or_none` says that there need not be any.
  uint64_t id(const char* name, bool or_none = false) {
    const auto read = id_from(text_view(value(name)));
    if (!read || (*read == 0 && !or_none)) wrong(name, "is not an id of 16 hex digits");
    return read.value_or(0);
  }

  Counter counter(const char* name) {
    const auto read = counter_of(value(name));
    if (!read) wrong(name, "is not a counter");
    return read.value_or(Counter());
  }

  static std::string_view text_view(const Json& json) {
    if (!json.is_string()) return {};
    return json.template get_ref<const typename Json::string_t&>();
  }

  static std::optional<std::string> text_of(const Json& json) {
    if (!json.is_string()) return std::nullopt;
    return std::string(text_view(json));
  }

  template <class Number>
  static std::optional<Number> number_of(const Json& json) {
    if (json.is_number_unsigned()) {
      const auto read = json.template get<uint64_t>();
      if (read <= static_cast<uint64_t>(std::numeric_limits<Number>::max())) {
        return static_cast<Number>(read);
      }
    } else if (json.is_number_integer() && std::is_signed_v<Number>) {
      const auto read = json.template get<int64_t>();
      if (std::in_range<Number>(read)) return static_cast<Number>(read);
    }
    return std::nullopt;
  }

  /// [INCARNATION, SEQUENCE].
  static std::optional<Counter> counter_of(const Json& json) {
    if (!json.is_array() || json.size() != 2) return std::nullopt;
    const auto incarnation = number_of<int64_t>(json[0]);
    const auto sequence = number_of<uint64_t>(json[1]);
    if (!incarnation || !sequence) return std::nullopt;
    return Counter{.incarnation = *incarnation, .sequence = *sequence};
  }

  void wrong(const char* name, const std::string& what) {
    const char* dot = *name != '\0' && !where_.empty() ? "." : "";
    take(Error{fmt::format("{}{}{} {}", where_, dot, name, what)});
  }

  void take(Error error) {
    if (!error_) error_ = std::move(error);
  }

  bool good() const { return !error_; }

  /// To be called when all fields were read. What is not understood must not be acted on: a field
  /// that nobody asked for is an error.
  Result<> finish() {
    for (auto field = object_.begin(); good() && field != object_.end(); ++field) {
      if (!asked_.contains(std::string_view(field.key()))) {
        const std::string place = where_.empty() ? "" : where_ + " ";
        take(Error{place + "has a field that this release does not know: a newer one wrote it; "
                           "bring this node to the same release"});
      }
    }
    return done();
  }

  /// The same where further fields do no harm.
  Result<> done() const {
    if (error_) return tl::unexpected(*error_);
    return {};
  }

 private:
  const Json& object_;
  std::string where_;
  std::set<std::string, std::less<>> asked_;
  std::optional<Error> error_;
};

/// [INCARNATION, SEQUENCE].
template <class Json>
Json counter_json(const Counter& counter) {
  return Json::array({counter.incarnation, counter.sequence});
}

}  // namespace tfo::rotation
