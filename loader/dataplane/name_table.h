// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "loader/dataplane/map_set.h"

namespace tfo {

/// Who owns which number (a VIP its counter slot, a pool its ring), kept in a pinned map so that it
/// stays the same across reload, restart and upgrade. An empty name is a free number.
class NameTable {
 public:
  NameTable() = default;
  /// Reads `map`, which must outlive the table. Numbers below `first` are never given out.
  static Result<NameTable> read(const ArrayMap<tfo_slot_name>& map, uint32_t first);

  std::optional<uint32_t> find(const std::string& name) const;
  const std::string& name(uint32_t number) const { return names_[number]; }
  uint32_t size() const { return static_cast<uint32_t>(names_.size()); }
  uint32_t first() const { return first_; }
  /// How many numbers are given out, those below first() among them.
  size_t used() const { return first_ + numbers_.size(); }
  /// Numbers in front of this one hold every name.
  uint32_t end_of_names() const;
  /// The first free number at or behind `from`.
  std::optional<uint32_t> free(uint32_t from) const;

  /// Writes the map first, so that a failure leaves the table true. An empty name frees the number.
  Result<> assign(uint32_t number, const std::string& name);

 private:
  NameTable(const ArrayMap<tfo_slot_name>& map, uint32_t first) : map_(&map), first_(first) {}
  const ArrayMap<tfo_slot_name>* map_ = nullptr;
  uint32_t first_ = 0;
  std::vector<std::string> names_;
  std::unordered_map<std::string, uint32_t> numbers_;
};

/// The text of a name field, which a foreign writer may have left without its NUL.
std::string name_text(const tfo_slot_name& name);

}  // namespace tfo
