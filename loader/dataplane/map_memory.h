// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "loader/dataplane/map.h"
#include "loader/result.h"

namespace tfo {

/// A mappable array (BPF_F_MMAPABLE) in this process's memory, while programs use it.
class MapMemory {
 public:
  static Result<std::unique_ptr<MapMemory>> of(const Map& map);
  ~MapMemory();
  MapMemory(const MapMemory&) = delete;
  MapMemory& operator=(const MapMemory&) = delete;

  /// Value `index` of the map; its values are T, filled up to a multiple of eight bytes.
  template <class T>
  T* at(uint32_t index) const {
    return static_cast<T*>(memory_) + index;
  }

 private:
  MapMemory(void* memory, size_t size) : memory_(memory), size_(size) {}
  void* memory_;
  size_t size_;
};

}  // namespace tfo
