// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <bpf/bpf.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "loader/dataplane/fd.h"
#include "loader/result.h"

namespace tfo {

/// Shape of a map, as the kernel reports it.
struct MapShape {
  uint32_t type = 0;
  uint32_t key_size = 0;
  uint32_t value_size = 0;
  uint32_t max_entries = 0;
  bool operator==(const MapShape&) const = default;
};

/// An open map with its name for messages; index maps only (ARRAY, PERCPU_ARRAY).
class Map {
 public:
  Map() = default;
  static Result<Map> adopt(std::string name, Fd fd);
  /// The map pinned at `path`.
  static Result<Map> open_pin(std::string name, const std::string& path);

  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }
  const MapShape& shape() const { return shape_; }
  uint32_t entries() const { return shape_.max_entries; }

  /// Reads or writes one raw value (of a per-CPU map: all CPUs, each rounded up to 8 bytes).
  Result<> read(uint32_t index, void* value) const;
  Result<> write(uint32_t index, const void* value) const;
  /// Bytes of one raw value.
  size_t raw_size() const;

  /// Raw values of [first, first + count), back to back. Uses batches, single look-ups where the
  /// kernel has none.
  Result<> read_range(uint32_t first, uint32_t count, void* values) const;
  Result<> write_range(uint32_t first, uint32_t count, const void* values) const;

 private:
  Map(std::string name, Fd fd, MapShape shape);
  std::string name_;
  Fd fd_;
  MapShape shape_;
};

/// A Map whose values are T. The shape was checked when the set was opened.
template <class T>
class ArrayMap {
 public:
  ArrayMap() = default;
  explicit ArrayMap(Map map) : map_(std::move(map)) {}

  Result<T> get(uint32_t index) const {
    T value{};
    auto read = map_.read(index, &value);
    if (!read) return tl::unexpected(read.error());
    return value;
  }
  Result<> set(uint32_t index, const T& value) const { return map_.write(index, &value); }

  Result<std::vector<T>> get_range(uint32_t first, uint32_t count) const {
    std::vector<T> values(count);
    auto read = map_.read_range(first, count, values.data());
    if (!read) return tl::unexpected(read.error());
    return values;
  }
  Result<> set_range(uint32_t first, std::span<const T> values) const {
    return map_.write_range(first, static_cast<uint32_t>(values.size()), values.data());
  }

  const Map& raw() const { return map_; }
  uint32_t entries() const { return map_.entries(); }

 private:
  Map map_;
};

/// Possible CPUs of this machine: values of one element of a per-CPU map.
unsigned possible_cpus();

}  // namespace tfo
