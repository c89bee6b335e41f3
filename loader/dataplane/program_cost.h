// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>

namespace tfo {

/// What the kernel counted of a loaded program while kernel.bpf_stats_enabled was 1.
struct ProgramCost {
  uint64_t runs = 0;
  uint64_t ns = 0;

  ProgramCost& operator+=(const ProgramCost& other) {
    runs += other.runs;
    ns += other.ns;
    return *this;
  }
};

/// Zeros if the kernel does not tell.
ProgramCost program_cost(int program_fd);

/// 16 hex digits by which the kernel tells this program's code from another's; empty if it does
/// not.
std::string program_tag(int program_fd);

/// kernel.bpf_stats_enabled.
bool bpf_stats_enabled();

}  // namespace tfo
