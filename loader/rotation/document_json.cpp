// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>
#include <sodium.h>

#include <array>

#include "loader/rotation/document.h"
#include "loader/rotation/object_reader.h"

namespace tfo::rotation {
namespace {

using WipedReader = ObjectReader<WipedJson>;

constexpr int64_t kDocumentVersion = 1;
constexpr size_t kStackUsed = 8192;

WipedString wiped(std::string_view text) { return {text.begin(), text.end()}; }

WipedJson encode(const FarmGeneration& generation) {
  WipedJson json;
  json["id"] = wiped(id_text(generation.id));
  json["key"] = wiped(generation.key.text().view());
  json["created_at"] = generation.created_at;
  json["not_after"] = generation.not_after;
  json["revoked"] = generation.revoked;
  return json;
}

Result<FarmGeneration> decode_generation(const WipedJson& json, const std::string& where) {
  WipedReader reader(json, where);
  FarmGeneration generation;
  generation.id = reader.id("id");
  generation.created_at = reader.number<int64_t>("created_at");
  generation.not_after = reader.number<int64_t>("not_after");
  generation.revoked = reader.boolean("revoked");
  const auto key = Key::parse(WipedReader::text_view(reader.value("key")));
  if (!key) reader.wrong("key", "is not a key");
  if (auto read = reader.finish(); !read) return tl::unexpected(std::move(read.error()));
  generation.key = key.value_or(Key());
  return generation;
}

WipedJson encode(const Event& event) {
  WipedJson json;
  json["at"] = event.at;
  json["counter"] = counter_json<WipedJson>(event.counter);
  json["state"] = wiped(to_string(event.state));
  json["what"] = wiped(event.what);
  json["by"] = wiped(event.by);
  return json;
}

State read_state(WipedReader& reader) {
  const auto state = state_from(reader.text("state"));
  if (!state) reader.wrong("state", "is not one that this release knows");
  return state.value_or(State::kSteady);
}

Result<Event> decode_event(const WipedJson& json, const std::string& where) {
  WipedReader reader(json, where);
  Event event;
  event.at = reader.number<int64_t>("at");
  event.counter = reader.counter("counter");
  event.state = read_state(reader);
  event.what = reader.text("what");
  event.by = reader.text("by");
  if (auto read = reader.finish(); !read) return tl::unexpected(std::move(read.error()));
  return event;
}

void decode_lists(WipedReader& reader, Document& document) {
  for (const WipedJson& json : reader.array("generations")) {
    auto read =
        decode_generation(json, fmt::format("generations[{}]", document.generations.size()));
    if (!read) return reader.take(std::move(read.error()));
    document.generations.push_back(*read);
  }
  for (const WipedJson& json : reader.array("events")) {
    auto read = decode_event(json, fmt::format("events[{}]", document.events.size()));
    if (!read) return reader.take(std::move(read.error()));
    document.events.push_back(std::move(*read));
  }
  for (const WipedJson& json : reader.array("forgotten")) {
    auto node = WipedReader::text_of(json);
    if (!node) return reader.wrong("forgotten", "is not a list of names");
    document.forgotten.insert(*node);
  }
}

Document read_document(WipedReader& reader) {
  Document document;
  document.farm = reader.text("farm");
  document.pool = reader.text("pool");
  document.counter = reader.counter("counter");
  document.state = read_state(reader);
  document.current = reader.id("current");
  document.other = reader.id("other", true);
  document.next = reader.id("next", true);
  document.aborting = reader.boolean("aborting");
  document.doomed = reader.id("doomed", true);
  document.min_key = reader.number<uint32_t>("min_key");
  document.issued_at = reader.number<int64_t>("issued_at");
  document.state_since = reader.number<int64_t>("state_since");
  document.rotated_at = reader.number<int64_t>("rotated_at");
  document.writer = reader.text("writer");
  decode_lists(reader, document);
  return document;
}

}  // namespace

WipedString encode(const Document& document) {
  WipedJson json;
  json["v"] = kDocumentVersion;
  json["farm"] = wiped(document.farm);
  json["pool"] = wiped(document.pool);
  json["counter"] = counter_json<WipedJson>(document.counter);
  json["state"] = wiped(to_string(document.state));
  json["current"] = wiped(id_text(document.current));
  json["other"] = wiped(id_text(document.other));
  json["next"] = wiped(id_text(document.next));
  json["aborting"] = document.aborting;
  json["doomed"] = wiped(id_text(document.doomed));
  json["min_key"] = document.min_key;
  json["issued_at"] = document.issued_at;
  json["state_since"] = document.state_since;
  json["rotated_at"] = document.rotated_at;
  json["writer"] = wiped(document.writer);
  json["generations"] = WipedJson::array();
  for (const auto& generation : document.generations) {
    json["generations"].push_back(encode(generation));
  }
  json["events"] = WipedJson::array();
  for (const Event& event : document.events) json["events"].push_back(encode(event));
  json["forgotten"] = WipedJson::array();
  for (const std::string& node : document.forgotten) json["forgotten"].push_back(wiped(node));
  WipedString text = json.dump(-1, ' ', false, WipedJson::error_handler_t::replace);
  // The serializer's buffer was on the stack.
  sodium_stackzero(kStackUsed);
  return text;
}

Result<Document> decode_document(std::string_view text) {
  // The parser's own message would quote the text.
  const WipedJson json = WipedJson::parse(text.begin(), text.end(), nullptr, false);
  if (!json.is_object()) return fail("the document is not a JSON object");
  WipedReader reader(json, "");
  if (reader.number<int64_t>("v") != kDocumentVersion) {
    reader.wrong("v", fmt::format("is not {}: another release wrote it; bring this node to it",
                                  kDocumentVersion));
  }
  Document document = read_document(reader);
  if (auto read = reader.finish(); !read) return tl::unexpected(std::move(read.error()));
  if (auto good = document.check(); !good) return tl::unexpected(std::move(good.error()));
  return document;
}

std::string hash_of(const Document& document) {
  const WipedString text = encode(document);
  std::array<uint8_t, crypto_generichash_BYTES> hash{};
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const uint8_t*>(text.data()),
                     text.size(), nullptr, 0);
  std::string digits;
  for (size_t i = 0; i < 8; ++i) digits += fmt::format("{:02x}", hash.at(i));
  return digits;
}

}  // namespace tfo::rotation
