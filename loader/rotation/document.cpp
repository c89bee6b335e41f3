// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "loader/rotation/records.h"

namespace tfo::rotation {
namespace {

constexpr std::array<std::string_view, 5> kStates = {"steady", "prepare", "staged", "minting",
                                                     "unminting"};
/// The year 9999: sums of times stay far from overflow.
constexpr int64_t kLatest = 253'402'300'799;

Result<> check_times(const Document& document) {
  std::vector<int64_t> times = {document.issued_at, document.state_since, document.rotated_at};
  for (const FarmGeneration& generation : document.generations) {
    times.push_back(generation.created_at);
    times.push_back(generation.not_after);
  }
  for (const Event& event : document.events) times.push_back(event.at);
  for (const int64_t time : times) {
    if (time < 0 || time > kLatest) return fail("a time is before 1970 or after 9999");
  }
  return {};
}

Result<> check_generations(const Document& document) {
  const auto& all = document.generations;
  if (all.empty() || all.size() > TFO_MAX_GENERATIONS) {
    return fail(
        fmt::format("{} generations; there must be 1 to {}", all.size(), TFO_MAX_GENERATIONS));
  }
  for (const FarmGeneration& generation : all) {
    const auto same_key = [&](const FarmGeneration& g) { return g.key == generation.key; };
    if (generation.id == 0 || document.find(generation.id) != &generation) {
      return fail("the id of a generation is missing or used twice");
    }
    if (generation.key.is_zero() || std::count_if(all.begin(), all.end(), same_key) != 1) {
      return fail(fmt::format("the key of generation {} is all zero or used twice",
                              id_text(generation.id)));
    }
  }
  return {};
}

/// What the slots hold must be there and good, and no key may be in both.
Result<> check_slots(const Document& document) {
  const auto usable = [&](uint64_t id) {
    const FarmGeneration* generation = document.find(id);
    return generation != nullptr && !generation->revoked;
  };
  if (!usable(document.current)) return fail("current is not there, or revoked");
  if (document.other != 0 && (!usable(document.other) || document.other == document.current)) {
    return fail("other is not there, revoked, or the current one");
  }
  const bool steady = document.state == State::kSteady;
  if (steady != (document.next == 0)) {
    return fail(fmt::format("state {} does not fit next", to_string(document.state)));
  }
  if (!steady && (!usable(document.next) || document.next == document.current ||
                  document.next == document.other)) {
    return fail("next is not there, revoked, or in the slots already");
  }
  if (document.aborting && document.state != State::kPrepare &&
      document.state != State::kUnminting) {
    return fail(fmt::format("state {} cannot be on the way back", to_string(document.state)));
  }
  if (document.doomed != 0 &&
      (steady || document.aborting || document.doomed != document.current)) {
    return fail("doomed is not the current generation of a rotation under way");
  }
  return {};
}

Result<> check_names(const Document& document) {
  if (auto name = check_name(document.farm, "farm"); !name) return name;
  if (auto name = check_name(document.pool, "pool"); !name) return name;
  if (auto name = check_name(document.writer, "writer"); !name) return name;
  for (const std::string& node : document.forgotten) {
    if (auto name = check_name(node, "forgotten"); !name) return name;
  }
  return {};
}

}  // namespace

std::string Counter::text() const { return fmt::format("{}.{}", incarnation, sequence); }

std::string_view to_string(State state) { return kStates.at(static_cast<size_t>(state)); }

std::optional<State> state_from(std::string_view name) {
  const auto* found = std::find(kStates.begin(), kStates.end(), name);
  if (found == kStates.end()) return std::nullopt;
  return static_cast<State>(found - kStates.begin());
}

std::optional<uint64_t> id_from(std::string_view text) {
  uint64_t id = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), id, 16);
  if (text.size() != 16 || read.ec != std::errc() || read.ptr != text.data() + text.size()) {
    return std::nullopt;
  }
  return id;
}

uint64_t random_id() {
  uint64_t id = 0;
  while (id == 0) {
    const Key random = Key::random();
    std::memcpy(&id, random.bytes().data(), sizeof(id));
  }
  return id;
}

void NameList::insert(const std::string& name) {
  if (contains(name)) return;
  names_.push_back(name);
  if (names_.size() > kMost) names_.erase(names_.begin());
}

bool NameList::contains(const std::string& name) const {
  return std::find(names_.begin(), names_.end(), name) != names_.end();
}

const FarmGeneration* Document::find(uint64_t id) const {
  const auto found = std::find_if(generations.begin(), generations.end(),
                                  [&](const FarmGeneration& g) { return g.id == id; });
  return id == 0 || found == generations.end() ? nullptr : &*found;
}

FarmGeneration* Document::find(uint64_t id) {
  return const_cast<FarmGeneration*>(static_cast<const Document*>(this)->find(id));
}

void Document::make_room(size_t most) {
  const auto retired = [this](const FarmGeneration& g) { return !g.revoked && !in_slots(g.id); };
  while (generations.size() > most) {
    auto leaving = std::find_if(generations.begin(), generations.end(), retired);
    // A revoked one that is not there is still refused, only no longer under that name.
    if (leaving == generations.end()) {
      leaving = std::find_if(generations.begin(), generations.end(),
                             [](const FarmGeneration& g) { return g.revoked; });
    }
    generations.erase(leaving);
  }
}

Result<> Document::check() const {
  if (auto names = check_names(*this); !names) return names;
  if (counter.incarnation <= 0 || counter.sequence == 0) {
    return fail("the counter is not one of a document");
  }
  if (events.size() > kMaxEvents) {
    return fail(fmt::format("{} events; there are at most {}", events.size(), kMaxEvents));
  }
  if (auto times = check_times(*this); !times) return times;
  if (auto keys = check_generations(*this); !keys) return keys;
  return check_slots(*this);
}

}  // namespace tfo::rotation
