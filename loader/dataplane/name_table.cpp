// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/name_table.h"

#include <cstring>

namespace tfo {

std::string name_text(const tfo_slot_name& name) {
  return {name.name, strnlen(name.name, sizeof(name.name))};
}

Result<NameTable> NameTable::read(const ArrayMap<tfo_slot_name>& map, uint32_t first) {
  auto values = map.get_range(0, map.entries());
  if (!values) return tl::unexpected(std::move(values).error());
  NameTable table(map, first);
  for (const auto& value : *values) {
    const auto number = static_cast<uint32_t>(table.names_.size());
    table.names_.push_back(name_text(value));
    if (number >= first && !table.names_.back().empty()) {
      table.numbers_.emplace(table.names_.back(), number);
    }
  }
  return table;
}

std::optional<uint32_t> NameTable::find(const std::string& name) const {
  const auto found = numbers_.find(name);
  if (found == numbers_.end()) return std::nullopt;
  return found->second;
}

uint32_t NameTable::end_of_names() const {
  uint32_t end = size();
  while (end > first_ && names_[end - 1].empty()) --end;
  return end;
}

std::optional<uint32_t> NameTable::free(uint32_t from) const {
  for (uint32_t number = std::max(from, first_); number < size(); ++number) {
    if (names_[number].empty()) return number;
  }
  return std::nullopt;
}

Result<> NameTable::assign(uint32_t number, const std::string& name) {
  if (name.size() >= TFO_NAME_LEN) {
    return fail("the name \"" + name + "\" is longer than " + std::to_string(TFO_NAME_LEN - 1) +
                " bytes");
  }
  tfo_slot_name value{};
  std::memcpy(value.name, name.data(), name.size());
  auto written = map_->set(number, value);
  if (!written) return written;
  numbers_.erase(names_[number]);
  names_[number] = name;
  if (!name.empty()) numbers_.emplace(name, number);
  return {};
}

}  // namespace tfo
