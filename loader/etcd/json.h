// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace tfo::etcd {

/// Keys and values travel as base64 (RFC 4648 section 4, with padding).
std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);

/// 64-bit integers travel as strings.
inline std::string to_text(int64_t number) { return std::to_string(number); }

/// A JSON object, or nothing if the text is anything else. Never throws.
std::optional<nlohmann::json> parse_object(std::string_view text);

/// Text of a server, fit for one line of a log: at most `limit` printable ASCII characters.
std::string printable(std::string_view text, size_t limit = 200);

/// Reads the fields of an object of etcd's gateway, which leaves out what is zero, false or empty:
/// a field that is not there has that value. One of another type makes the whole object not good().
class Fields {
 public:
  /// Keeps a reference. Not an object: not good, and every field empty.
  explicit Fields(const nlohmann::json& object);

  /// An integer, as a string or as a number.
  int64_t integer(const char* name);
  uint64_t unsigned_integer(const char* name);
  bool boolean(const char* name);
  std::string text(const char* name);
  std::string bytes(const char* name);
  /// An object, or null.
  const nlohmann::json& object(const char* name);
  /// An array, possibly empty.
  const nlohmann::json& array(const char* name);

  bool has(const char* name) const { return find(name) != nullptr; }
  /// Was every field that was asked for of its type?
  bool good() const { return good_; }
  void spoil() { good_ = false; }

 private:
  const nlohmann::json* find(const char* name) const;
  template <class Number>
  Number number(const char* name);

  const nlohmann::json* object_;
  bool good_ = true;
};

/// What etcd says of itself with every reply.
struct Header {
  uint64_t cluster_id = 0;
  uint64_t member_id = 0;
  int64_t revision = 0;  ///< of the whole key space
  uint64_t raft_term = 0;
};

Header read_header(Fields& reply);

/// A key as it was at `mod_revision`.
struct KeyValue {
  std::string key;
  std::string value;
  int64_t create_revision = 0;  ///< 0: there is no such key
  int64_t mod_revision = 0;
  int64_t version = 0;  ///< number of writes since it was created
  int64_t lease = 0;    ///< 0: none
};

/// Nothing if it is not good.
std::optional<KeyValue> read_key_value(const nlohmann::json& object);

}  // namespace tfo::etcd
