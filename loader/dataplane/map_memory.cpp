// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/map_memory.h"

#include <sys/mman.h>
#include <unistd.h>

namespace tfo {

Result<std::unique_ptr<MapMemory>> MapMemory::of(const Map& map) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t value = (size_t{map.shape().value_size} + 7) / 8 * 8;  // array_map_alloc()
  const size_t size = (value * map.entries() + page - 1) / page * page;
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, map.fd(), 0);
  if (memory == MAP_FAILED) return fail_errno("cannot map " + map.name() + " into memory");
  return std::unique_ptr<MapMemory>(new MapMemory(memory, size));
}

MapMemory::~MapMemory() { munmap(memory_, size_); }

}  // namespace tfo
