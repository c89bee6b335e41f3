// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "loader/keys/keyring_file.h"

namespace tfo {
namespace {

/// JSON whose strings, the parser's own buffers included, are wiped when they are freed.
using Json = nlohmann::basic_json<std::map, std::vector, WipedString>;

constexpr char kKeyringFormat[] = "tfoguard keyring";
constexpr int64_t kVersion = 1;
constexpr size_t kStackUsed = 8192;

WipedString wiped(std::string_view text) { return {text.begin(), text.end()}; }

/// Reads the fields of one object; the first field that is not as it should be is remembered.
class Fields {
 public:
  Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) {
      wrong("", "is not an object");
    }
  }

  const std::optional<Error>& error() const { return error_; }

  const Json* get(const char* name) {
    if (!error_ && object_.contains(name)) {
      return &object_.at(name);
    }
    wrong(name, "is missing");
    return nullptr;
  }

  int64_t number(const char* name) {
    const Json* value = get(name);
    if (value == nullptr || !value->is_number_integer()) {
      wrong(name, "is not a whole number");
      return 0;
    }
    return value->get<int64_t>();
  }

  std::string_view text(const char* name) {
    const Json* value = get(name);
    if (value == nullptr || !value->is_string()) {
      wrong(name, "is not a string");
      return {};
    }
    return value->get_ref<const WipedString&>();
  }

  uint64_t id(const char* name) {
    const Json* value = get(name);
    if (value == nullptr) {
      return 0;
    }
    const uint64_t id = to_id(*value);
    if (id == 0) {
      wrong(name, "is not an id of 16 hex digits");
    }
    return id;
  }

  static uint64_t to_id(const Json& value) {
    uint64_t id = 0;
    if (value.is_string()) {
      const auto& digits = value.get_ref<const WipedString&>();
      const char* end = digits.data() + digits.size();
      const auto parsed = std::from_chars(digits.data(), end, id, 16);
      id = parsed.ptr == end && digits.size() == 16 ? id : 0;
    }
    return id;
  }

  void take(const Error& error) {
    if (!error_) {
      error_ = error;
    }
  }

  void wrong(const char* name, const std::string& what) {
    const char* dot = *name != '\0' && !where_.empty() ? "." : "";
    take(Error{fmt::format("{}{}{} {}", where_, dot, name, what)});
  }

 private:
  const Json& object_;
  std::string where_;
  std::optional<Error> error_;
};

Json encode(const Generation& generation) {
  Json json;
  json["id"] = wiped(id_text(generation.id));
  json["key"] = wiped(generation.key.text().view());
  json["fingerprint"] = wiped(generation.key.fingerprint());
  json["place"] = wiped(to_string(generation.place));
  json["created_at"] = generation.created_at;
  json["not_after"] = generation.not_after;
  return json;
}

Result<Generation> decode_generation(const Json& json, const std::string& where) {
  Fields fields(json, where);
  Generation generation;
  generation.id = fields.id("id");
  generation.created_at = fields.number("created_at");
  generation.not_after = fields.number("not_after");
  const auto place = place_from(fields.text("place"));
  if (!place) {
    fields.wrong("place", "is none of current, previous, staged, retired, revoked");
  }
  const auto key = Key::parse(fields.text("key"));
  if (!key) {
    fields.wrong("key", "is damaged: " + key.error().message);
  } else if (key->fingerprint() != fields.text("fingerprint")) {
    fields.wrong("key", "does not match its fingerprint: the file is damaged");
  }
  if (const auto& error = fields.error()) {
    return tl::unexpected(*error);
  }
  generation.place = place.value_or(TFO_PLACE_CURRENT);
  generation.key = *key;
  return generation;
}

Result<> decode_generations(Fields& top, RotationState& state) {
  const Json* list = top.get("generations");
  if (list == nullptr || !list->is_array()) {
    return fail("generations is not a list");
  }
  for (const Json& json : *list) {
    const auto where = fmt::format("generations[{}]", state.ring.generations.size());
    auto generation = decode_generation(json, where);
    if (!generation) {
      return tl::unexpected(std::move(generation.error()));
    }
    state.ring.generations.push_back(*generation);
  }
  return state.ring.check();
}

Result<> check_phase(const KeyRing& ring) {
  const bool needs_staged = ring.phase == Phase::staged;
  if (ring.phase == Phase::prepare || needs_staged != (ring.staged() != nullptr) ||
      (ring.phase == Phase::minting && ring.previous() == nullptr)) {
    return fail(fmt::format("phase {} does not fit the keys' places", to_string(ring.phase)));
  }
  return {};
}

TimeAnchor decode_anchor(Fields& top) {
  const Json* clock = top.get("clock");
  if (clock == nullptr) {
    return {};
  }
  Fields fields(*clock, "clock");
  TimeAnchor anchor;
  anchor.unix_s = fields.number("unix");
  anchor.boot_s = fields.number("boot");
  anchor.boot_id = fields.text("boot_id");
  if (const auto& error = fields.error()) {
    top.take(*error);
  }
  return anchor;
}

void decode_import(Fields& top, RotationState& state) {
  const Json* order = top.get("import");
  if (order == nullptr || !order->is_array()) {
    top.wrong("import", "is not a list");
    return;
  }
  for (const Json& id : *order) {
    state.import_order.push_back(Fields::to_id(id));
  }
  if (!state.import_order.empty() && state.ring.find(state.import_order.front()) == nullptr) {
    top.wrong("import", "begins with a generation that is not there");
  }
}

}  // namespace

WipedString encode_keyring(const RotationState& state) {
  Json json;
  json["format"] = kKeyringFormat;
  json["version"] = kVersion;
  json["phase"] = wiped(to_string(state.ring.phase));
  json["revision"] = state.ring.revision;
  json["rotated_at"] = state.rotated_at;
  json["clock"]["unix"] = state.anchor.unix_s;
  json["clock"]["boot"] = state.anchor.boot_s;
  json["clock"]["boot_id"] = wiped(state.anchor.boot_id);
  json["import"] = Json::array();
  for (const uint64_t id : state.import_order) {
    json["import"].push_back(wiped(id_text(id)));
  }
  json["generations"] = Json::array();
  for (const Generation& generation : state.ring.generations) {
    json["generations"].push_back(encode(generation));
  }
  WipedString text = json.dump(2) + "\n";
  // The serializer's buffer was on the stack.
  sodium_stackzero(kStackUsed);
  return text;
}

Result<RotationState> decode_keyring(std::string_view text) {
  // The parser's own message would quote the text.
  const Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (json.is_discarded()) {
    return fail("it is truncated or damaged (not JSON)");
  }
  Fields top(json, "");
  if (top.text("format") != kKeyringFormat) {
    return fail("it is not a tfoguard keyring");
  }
  if (const int64_t version = top.number("version"); version != kVersion) {
    return fail(fmt::format("its version is {}, this program reads version {}", version, kVersion));
  }
  RotationState state;
  state.ring.revision = static_cast<uint64_t>(top.number("revision"));
  state.rotated_at = top.number("rotated_at");
  state.anchor = decode_anchor(top);
  const auto phase = phase_from(top.text("phase"));
  if (!phase) {
    top.wrong("phase", "is none of steady, staged, minting");
  }
  state.ring.phase = phase.value_or(Phase::steady);
  if (const auto& error = top.error()) {
    return tl::unexpected(*error);
  }
  if (auto keys = decode_generations(top, state); !keys) {
    return tl::unexpected(std::move(keys.error()));
  }
  decode_import(top, state);
  if (const auto& error = top.error()) {
    return tl::unexpected(*error);
  }
  if (auto fits = check_phase(state.ring); !fits) {
    return tl::unexpected(std::move(fits.error()));
  }
  return state;
}

}  // namespace tfo
