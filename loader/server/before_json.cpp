// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "loader/control.h"
#include "loader/server/before.h"

namespace tfo {
namespace {

using nlohmann::json;

constexpr char kFormat[] = "tfoguard servers before tfod";
constexpr int kVersion = 1;

Secret keys_text(const std::vector<Key>& keys) {
  Secret text;
  text.buffer().reserve(keys.size() * (Key::kTextSize + 1));
  for (const Key& key : keys) {
    text.buffer() += text.view().empty() ? "" : ",";
    text.buffer() += key.text().view();
  }
  return text;
}

Result<Before> entry_of(const json& one) {
  Before out;
  out.netns = one.at("netns").get<std::string>();
  out.cookie = one.at("cookie").get<uint64_t>();
  out.server_bit = one.at("server_bit").get<bool>();
  const auto& text = one.at("keys").get_ref<const std::string&>();
  if (text.empty()) return out;
  auto keys = Key::parse_list(text);
  if (!keys) return tl::unexpected(keys.error());
  for (const Key& key : *keys) {
    if (key.is_zero()) return fail("an all-zero key");
  }
  if (keys->size() > 2) return fail("more than two keys");
  out.keys = std::move(*keys);
  return out;
}

}  // namespace

WipedString encode_before(const BeforeState& state) {
  json document = {{"format", kFormat},
                   {"version", kVersion},
                   {"boot_id", state.boot_id},
                   {"namespaces", json::array()}};
  for (const Before& one : state.namespaces) {
    document["namespaces"].push_back({{"netns", one.netns},
                                      {"cookie", one.cookie},
                                      {"keys", keys_text(one.keys).str()},
                                      {"server_bit", one.server_bit}});
  }
  Secret text(document.dump(2));
  wipe_strings(document);
  WipedString out(text.view());
  out += '\n';
  return out;
}

Result<BeforeState> decode_before(std::string_view text) {
  json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) return fail("it is no JSON");
  Result<BeforeState> state = BeforeState{};
  try {
    if (document.at("format") != kFormat || document.at("version") != kVersion) {
      state = fail("it is not a file of this version of tfod");
    } else {
      state->boot_id = document.at("boot_id").get<std::string>();
      for (const json& one : document.at("namespaces")) {
        auto entry = entry_of(one);
        if (!entry) {
          state = tl::unexpected(entry.error());
          break;
        }
        state->namespaces.push_back(std::move(*entry));
      }
    }
  } catch (const json::exception&) {
    state = fail("a field is missing or of another type");
  }
  wipe_strings(document);
  return state;
}

}  // namespace tfo
