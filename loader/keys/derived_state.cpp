// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/derived_state.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "loader/keys/private_file.h"

namespace tfo {
namespace {

using nlohmann::json;

constexpr size_t kMaxSize = 4096;
constexpr const char* kFormat = "tfoguard derived state";

std::optional<int64_t> time_in(const json& document, const char* field) {
  const auto found = document.find(field);
  if (found == document.end() || !found->is_number_integer()) return std::nullopt;
  const auto value = found->get<int64_t>();
  return value >= 0 ? std::optional(value) : std::nullopt;
}

Result<DerivedState> parse(std::string_view text) {
  const json document = json::parse(text, nullptr, false);
  const bool ours = document.is_object() && document.value("format", json()) == json(kFormat);
  const auto acted_at = ours ? time_in(document, "acted_at") : std::nullopt;
  const auto interval = ours ? time_in(document, "interval") : std::nullopt;
  const auto index = ours ? time_in(document, "index") : std::nullopt;
  if (!acted_at || !interval || !index) {
    return fail(
        "it is damaged; remove it if the wall clock is right (it only keeps an old clock from "
        "bringing back old keys)");
  }
  return DerivedState{.acted_at = *acted_at, .interval = *interval, .index = *index};
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
  const json document = {{"format", kFormat},
                         {"acted_at", state.acted_at},
                         {"interval", state.interval},
                         {"index", state.index}};
  auto saved = make_directory_of(path_);
  if (saved) saved = replace_private_file(path_, document.dump(2) + "\n");
  if (!saved) return tl::unexpected(std::move(saved.error()).in("state " + path_));
  return {};
}

void DerivedStateFile::remove() const { ::unlink(path_.c_str()); }

}  // namespace tfo
