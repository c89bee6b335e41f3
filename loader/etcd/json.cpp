// SPDX-License-Identifier: BSD-2-Clause
#include "loader/etcd/json.h"

#include <sodium.h>

#include <charconv>
#include <limits>
#include <type_traits>
#include <utility>

namespace tfo::etcd {

namespace {

const nlohmann::json kNull;
const nlohmann::json kEmptyArray = nlohmann::json::array();
const nlohmann::json kEmptyObject = nlohmann::json::object();

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string text(sodium_base64_ENCODED_LEN(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();  // the terminating zero
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  size_t length = 0;
  const char* end = nullptr;
  const int failed =
      sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), text.data(),
                        text.size(), nullptr, &length, &end, sodium_base64_VARIANT_ORIGINAL);
  if (failed != 0 || end != text.data() + text.size()) return std::nullopt;
  bytes.resize(length);
  return bytes;
}

std::optional<nlohmann::json> parse_object(std::string_view text) {
  auto document = nlohmann::json::parse(text, nullptr, false);
  if (!document.is_object()) return std::nullopt;
  return document;
}

std::string printable(std::string_view text, size_t limit) {
  std::string line;
  for (const char c : text.substr(0, limit)) line += c >= ' ' && c <= '~' ? c : ' ';
  if (text.size() > limit) line += "...";
  return line;
}

Fields::Fields(const nlohmann::json& object)
    : object_(object.is_object() ? &object : &kEmptyObject), good_(object.is_object()) {}

const nlohmann::json* Fields::find(const char* name) const {
  const auto field = object_->find(name);
  return field == object_->end() || field->is_null() ? nullptr : &*field;
}

template <class Number>
Number Fields::number(const char* name) {
  const nlohmann::json* field = find(name);
  if (field == nullptr) return 0;
  if (field->is_number_unsigned()) {
    const auto value = field->get<uint64_t>();
    if (value <= static_cast<uint64_t>(std::numeric_limits<Number>::max())) {
      return static_cast<Number>(value);
    }
  } else if (field->is_number_integer() && std::is_signed_v<Number>) {
    return static_cast<Number>(field->get<int64_t>());
  } else if (field->is_string()) {
    const auto& text = field->get_ref<const std::string&>();
    Number value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
  }
  good_ = false;
  return 0;
}

int64_t Fields::integer(const char* name) { return number<int64_t>(name); }

uint64_t Fields::unsigned_integer(const char* name) { return number<uint64_t>(name); }

bool Fields::boolean(const char* name) {
  const nlohmann::json* field = find(name);
  if (field == nullptr) return false;
  good_ = good_ && field->is_boolean();
  return field->is_boolean() && field->get<bool>();
}

std::string Fields::text(const char* name) {
  const nlohmann::json* field = find(name);
  if (field == nullptr) return {};
  good_ = good_ && field->is_string();
  return field->is_string() ? field->get<std::string>() : std::string();
}

std::string Fields::bytes(const char* name) {
  const nlohmann::json* field = find(name);
  if (field == nullptr) return {};
  auto bytes = field->is_string() ? from_base64(field->get_ref<const std::string&>())
                                  : std::optional<std::string>();
  good_ = good_ && bytes.has_value();
  return std::move(bytes).value_or("");
}

const nlohmann::json& Fields::object(const char* name) {
  const nlohmann::json* field = find(name);
  if (field == nullptr) return kNull;
  good_ = good_ && field->is_object();
  return field->is_object() ? *field : kNull;
}

const nlohmann::json& Fields::array(const char* name) {
  const nlohmann::json* field = find(name);
  if (field == nullptr) return kEmptyArray;
  good_ = good_ && field->is_array();
  return field->is_array() ? *field : kEmptyArray;
}

Header read_header(Fields& reply) {
  const nlohmann::json& object = reply.object("header");
  if (object.is_null()) return {};
  Fields fields(object);
  const Header header{.cluster_id = fields.unsigned_integer("cluster_id"),
                      .member_id = fields.unsigned_integer("member_id"),
                      .revision = fields.integer("revision"),
                      .raft_term = fields.unsigned_integer("raft_term")};
  if (!fields.good()) reply.spoil();
  return header;
}

std::optional<KeyValue> read_key_value(const nlohmann::json& object) {
  Fields fields(object);
  KeyValue kv{.key = fields.bytes("key"),
              .value = fields.bytes("value"),
              .create_revision = fields.integer("create_revision"),
              .mod_revision = fields.integer("mod_revision"),
              .version = fields.integer("version"),
              .lease = fields.integer("lease")};
  if (!fields.good()) return std::nullopt;
  return kv;
}

}  // namespace tfo::etcd
