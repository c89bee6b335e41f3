// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/map.h"

#include <bpf/libbpf.h>

#include <algorithm>
#include <numeric>

namespace tfo {
namespace {

constexpr uint32_t kMapBatch = 512;

size_t round_up8(size_t size) { return (size + 7) & ~size_t{7}; }

}  // namespace

unsigned possible_cpus() {
  static const int cpus = libbpf_num_possible_cpus();
  return cpus > 0 ? static_cast<unsigned>(cpus) : 1;
}

Map::Map(std::string name, Fd fd, MapShape shape)
    : name_(std::move(name)), fd_(std::move(fd)), shape_(shape) {}

Result<Map> Map::adopt(std::string name, Fd fd) {
  bpf_map_info info{};
  uint32_t size = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) {
    return fail_errno("cannot read the shape of map " + name);
  }
  const MapShape shape{info.type, info.key_size, info.value_size, info.max_entries};
  return Map(std::move(name), std::move(fd), shape);
}

Result<Map> Map::open_pin(std::string name, const std::string& path) {
  Fd fd(bpf_obj_get(path.c_str()));
  if (!fd) return fail_errno("cannot open the pinned map " + path);
  return adopt(std::move(name), std::move(fd));
}

size_t Map::raw_size() const {
  if (shape_.type == BPF_MAP_TYPE_PERCPU_ARRAY) {
    return round_up8(shape_.value_size) * possible_cpus();
  }
  return shape_.value_size;
}

Result<> Map::read(uint32_t index, void* value) const {
  if (bpf_map_lookup_elem(fd_.get(), &index, value) != 0) {
    return fail_errno("cannot read entry " + std::to_string(index) + " of map " + name_);
  }
  return {};
}

Result<> Map::write(uint32_t index, const void* value) const {
  if (bpf_map_update_elem(fd_.get(), &index, value, BPF_ANY) != 0) {
    return fail_errno("cannot write entry " + std::to_string(index) + " of map " + name_);
  }
  return {};
}

Result<> Map::read_range(uint32_t first, uint32_t count, void* values) const {
  auto* to = static_cast<uint8_t*>(values);
  std::vector<uint32_t> keys(kMapBatch);
  while (count > 0) {
    uint32_t n = std::min(count, kMapBatch);
    uint32_t before = first - 1;
    uint32_t after = 0;
    // The batch goes on behind the key `before`, from the start where there is none. The kernel
    // says ENOENT where it reached the end of the map.
    const int error = bpf_map_lookup_batch(fd_.get(), first == 0 ? nullptr : &before, &after,
                                           keys.data(), to, &n, nullptr);
    if ((error != 0 && errno != ENOENT) || n == 0) {
      n = 1;
      auto single = read(first, to);
      if (!single) return single;
    }
    to += n * raw_size();
    first += n;
    count -= n;
  }
  return {};
}

Result<> Map::write_range(uint32_t first, uint32_t count, const void* values) const {
  const auto* from = static_cast<const uint8_t*>(values);
  std::vector<uint32_t> keys(kMapBatch);
  while (count > 0) {
    uint32_t n = std::min(count, kMapBatch);
    std::iota(keys.begin(), keys.end(), first);
    if (bpf_map_update_batch(fd_.get(), keys.data(), from, &n, nullptr) != 0 || n == 0) {
      n = 1;
      auto single = write(first, from);
      if (!single) return single;
    }
    from += n * raw_size();
    first += n;
    count -= n;
  }
  return {};
}

}  // namespace tfo
