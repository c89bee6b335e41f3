// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/ring.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tfo {
namespace {

constexpr std::array<std::string_view, 4> kPhases = {"steady", "prepare", "staged", "minting"};
constexpr std::array<std::string_view, 5> kPlaces = {"current", "previous", "staged", "retired",
                                                     "revoked"};

template <class Enum, size_t N>
std::optional<Enum> index_of(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    return std::nullopt;
  }
  return static_cast<Enum>(found - names.begin());
}

template <class Predicate>
const Generation* first_where(const std::vector<Generation>& generations, Predicate predicate) {
  const auto found = std::find_if(generations.begin(), generations.end(), predicate);
  return found == generations.end() ? nullptr : &*found;
}

Result<> check_places(const KeyRing& ring) {
  std::array<int, kPlaces.size()> count{};
  tfo_place last = TFO_PLACE_CURRENT;
  for (const Generation& generation : ring.generations) {
    if (generation.place < last) {
      return fail("the keys are not in the order current, previous, staged, retired, revoked");
    }
    last = generation.place;
    ++count.at(last);
  }
  if (count[TFO_PLACE_CURRENT] != 1) {
    return fail(fmt::format("{} current keys; there must be exactly one", count[0]));
  }
  if (count[TFO_PLACE_PREVIOUS] > 1 || count[TFO_PLACE_STAGED] > 1) {
    return fail("more than one previous or staged key");
  }
  return {};
}

Result<> check_one(const KeyRing& ring, const Generation& generation) {
  const std::string fingerprint = generation.key.fingerprint();
  if (generation.key.is_zero()) {
    return fail(
        "the all-zero key is refused as a farm key: a host without a key reads as all zero, and "
        "everybody can mint cookies with it; use another key");
  }
  if (generation.id == 0 || ring.find(generation.id) != &generation) {
    return fail(fmt::format("the id of key {} is missing or used twice", fingerprint));
  }
  if (ring.find(generation.key) != &generation) {
    return fail(fmt::format("key {} is there twice; give each key once", fingerprint));
  }
  return {};
}

}  // namespace

std::string_view to_string(Phase phase) { return kPhases.at(static_cast<size_t>(phase)); }

std::optional<Phase> phase_from(std::string_view name) { return index_of<Phase>(kPhases, name); }

std::string_view to_string(tfo_place place) { return kPlaces.at(static_cast<size_t>(place)); }

std::optional<tfo_place> place_from(std::string_view name) {
  return index_of<tfo_place>(kPlaces, name);
}

std::string id_text(uint64_t id) { return fmt::format("{:016x}", id); }

const Generation* KeyRing::find(tfo_place place) const {
  return first_where(generations, [&](const Generation& g) { return g.place == place; });
}

const Generation* KeyRing::find(uint64_t id) const {
  return first_where(generations, [&](const Generation& g) { return g.id == id; });
}

const Generation* KeyRing::find(const Key& key) const {
  return first_where(generations, [&](const Generation& g) { return g.key == key; });
}

const Generation* KeyRing::backup() const {
  const Generation* next = phase == Phase::prepare ? nullptr : staged();
  return next != nullptr ? next : previous();
}

Secret KeyRing::sysctl_value() const {
  const Generation* primary = current();
  if (primary == nullptr) {
    return {};
  }
  Secret value;
  value.buffer().reserve(2 * Key::kTextSize + 1);
  value.buffer() += primary->key.text().view();
  if (const Generation* second = backup()) {
    value.buffer() += ',';
    value.buffer() += second->key.text().view();
  }
  return value;
}

void KeyRing::sort() {
  std::stable_sort(generations.begin(), generations.end(),
                   [](const Generation& a, const Generation& b) { return a.place < b.place; });
}

Result<> KeyRing::check() const {
  if (generations.size() > TFO_MAX_GENERATIONS) {
    return fail(
        fmt::format("{} keys; a pool holds at most {}", generations.size(), TFO_MAX_GENERATIONS));
  }
  if (auto places = check_places(*this); !places) {
    return places;
  }
  for (const Generation& generation : generations) {
    if (auto one = check_one(*this, generation); !one) {
      return one;
    }
  }
  return {};
}

}  // namespace tfo
