// SPDX-License-Identifier: BSD-2-Clause
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "loader/dataplane/map_set.h"

namespace tfo {
namespace {

constexpr uint32_t kFewCpus = 4;  // that many CPUs' samples the thread that reads them can bear

size_t mapped_size() {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (sizeof(tfo_control) + page - 1) / page * page;
}

}  // namespace

Result<ControlMap> ControlMap::map(Map control) {
  void* memory = mmap(nullptr, mapped_size(), PROT_READ | PROT_WRITE, MAP_SHARED, control.fd(), 0);
  if (memory == MAP_FAILED) return fail_errno("cannot map the control map into memory");
  return ControlMap(std::move(control), static_cast<tfo_control*>(memory));
}

void ControlMap::Unmap::operator()(tfo_control* memory) const { munmap(memory, mapped_size()); }

uint64_t ControlMap::now_ns() const {
  return std::atomic_ref<__u64>(memory_->now_ns).load(std::memory_order_acquire);
}

void ControlMap::set_now_ns(uint64_t now) const {
  std::atomic_ref<__u64>(memory_->now_ns).store(now, std::memory_order_release);
}

uint32_t ControlMap::vip_side() const {
  return std::atomic_ref<__u32>(memory_->vip_side).load(std::memory_order_acquire) & 1;
}

void ControlMap::set_vip_side(uint32_t side) const {
  std::atomic_ref<__u32>(memory_->vip_side).store(side, std::memory_order_release);
}

uint32_t ControlMap::pool_side(uint32_t pool) const {
  return std::atomic_ref<__u32>(memory_->pool_side[pool]).load(std::memory_order_acquire) & 1;
}

void ControlMap::set_pool_side(uint32_t pool, uint32_t side) const {
  std::atomic_ref<__u32>(memory_->pool_side[pool]).store(side, std::memory_order_release);
}

void ControlMap::set_guard_list(uint32_t count) const {
  std::atomic_ref<__u32>(memory_->guard_list).store(count, std::memory_order_release);
}

uint32_t ControlMap::guard_list() const {
  return std::atomic_ref<__u32>(memory_->guard_list).load(std::memory_order_acquire);
}

void ControlMap::set_monitor_alarm(uint64_t addresses) const {
  std::atomic_ref<__u64>(memory_->monitor_alarm).store(addresses, std::memory_order_release);
}

void ControlMap::set_table(const __u64 seed[2], const MapSizes& sizes) const {
  memory_->hash_seed[0] = seed[0];
  memory_->hash_seed[1] = seed[1];
  memory_->vip_mask = sizes.vip_rows - 1;
  memory_->handshake_mask = sizes.handshakes / 2 - 1;
  memory_->head_mask = sizes.handshakes / 16 - 1;
  memory_->retry_mask = sizes.handshakes / 4 - 1;
  memory_->bloom_mask = std::max<uint32_t>(1, sizes.bloom_lines) - 1;
  const auto cpus = static_cast<uint32_t>(std::max(1, libbpf_num_possible_cpus()));
  memory_->sample_budget =
      std::clamp<uint32_t>(kFewCpus * TFO_SAMPLE_BUDGET / cpus, 32, TFO_SAMPLE_BUDGET);
}

}  // namespace tfo
