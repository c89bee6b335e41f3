// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/derived_state.h"

#include <unistd.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "loader/keys/private_file.h"
#include "loader/keys/ring.h"

namespace tfo {
namespace {

using nlohmann::json;

constexpr size_t kMaxSize = 4096;
constexpr const char* kFormat = "tfoguard derived state";

/// Times and counts that older releases do not write.
constexpr std::pair<const char*, int64_t DerivedState::*> kLater[] = {
    {"renew_from", &DerivedState::renew_from},
    {"replaced_until", &DerivedState::replaced_until},
    {"stepped_until", &DerivedState::stepped_until},
    {"staged_at", &DerivedState::staged_at},
    {"staged_seen", &DerivedState::staged_seen},
};

std::optional<int64_t> time_in(const json& document, const char* field) {
  const auto found = document.find(field);
  if (found == document.end() || !found->is_number_integer()) return std::nullopt;
  const auto value = found->get<int64_t>();
  return value >= 0 ? std::optional(value) : std::nullopt;
}

bool read_time(const json& document, const char* field, int64_t& value) {
  const auto time = time_in(document, field);
  value = time.value_or(0);
  return time.has_value();
}

/// Of a field that older releases do not write.
bool read_later(const json& document, const char* field, int64_t& value) {
  return !document.contains(field) || read_time(document, field, value);
}

bool read_step(const json& document, int64_t& step) {
  const auto found = document.find("step");
  if (found == document.end()) return true;
  if (!found->is_number_integer()) return false;
  step = found->get<int64_t>();
  return true;
}

bool read_slots(const json& document, std::vector<DerivedState::Name>& slots) {
  const auto found = document.find("slots");
  if (found == document.end()) return true;
  if (!found->is_array()) return false;
  for (const json& one : *found) {
    const auto index = one.is_object() ? time_in(one, "index") : std::nullopt;
    if (!index || !one.contains("id") || !one["id"].is_string()) return false;
    const std::string text = one["id"].get<std::string>();
    uint64_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id, 16);
    if (error != std::errc{} || end != text.data() + text.size()) return false;
    slots.push_back({.index = *index, .id = id});
  }
  return true;
}

Result<DerivedState> parse(std::string_view text) {
  const json document = json::parse(text, nullptr, false);
  const bool ours = document.is_object() && document.value("format", json()) == json(kFormat);
  DerivedState state;
  bool good = ours && read_time(document, "acted_at", state.acted_at) &&
              read_time(document, "interval", state.interval) &&
              read_time(document, "index", state.index) && read_slots(document, state.slots) &&
              read_step(document, state.step);
  for (const auto& [field, value] : kLater) {
    good = good && read_later(document, field, state.*value);
  }
  if (!good) {
    return fail(
        "it is damaged; remove it if the wall clock is right (it only keeps an old clock from "
        "bringing back old keys)");
  }
  return state;
}

}  // namespace

Result<std::optional<DerivedState>> DerivedStateFile::load() const {
  auto opened = open_private_file(path_, "state_directory", "remove it");
  if (!opened) return tl::unexpected(std::move(opened.error()).in("state " + path_));
  const std::optional<PrivateFile>& file = *opened;
  if (!file) return std::optional<DerivedState>();
  auto text = file->read(kMaxSize);
  if (!text) return tl::unexpected(std::move(text.error()).in("state " + path_));
  auto state = parse(*text);
  if (!state) return tl::unexpected(std::move(state.error()).in("state " + path_));
  return std::optional<DerivedState>(*state);
}

Result<> DerivedStateFile::save(const DerivedState& state) const {
  json document = {{"format", kFormat},          {"acted_at", state.acted_at},
                   {"interval", state.interval}, {"index", state.index},
                   {"step", state.step},         {"slots", json::array()}};
  for (const auto& [field, value] : kLater) document[field] = state.*value;
  for (const DerivedState::Name& slot : state.slots) {
    document["slots"].push_back({{"index", slot.index}, {"id", id_text(slot.id)}});
  }
  auto saved = make_directory_of(path_);
  if (saved) saved = replace_private_file(path_, document.dump(2) + "\n");
  if (!saved) return tl::unexpected(std::move(saved.error()).in("state " + path_));
  return {};
}

void DerivedStateFile::remove() const { ::unlink(path_.c_str()); }

}  // namespace tfo
