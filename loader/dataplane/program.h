// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "loader/dataplane/egress_skeleton.h"
#include "loader/dataplane/map_set.h"
#include "loader/dataplane/xdp_skeleton.h"

namespace tfo {

/// A load of the XDP program with this read-only data, on these maps. The maps may go afterwards,
/// the program holds them.
Result<XdpSkeleton> load_program(const MapSet& maps, const tfo_load_config& config);

/// The same of the egress program (bpf/tfo_egress.bpf.c), for the guard's exact form.
Result<EgressSkeleton> load_egress(const MapSet& maps, const tfo_load_config& config);

/// Starts the clock of the maps (bpf/clock.h), or moves a running one to this load. It ticks as
/// long as the maps are pinned or open.
Result<> start_clock(const XdpSkeleton& program);

/// What one BPF_PROG_TEST_RUN did.
struct TestRun {
  uint32_t verdict = 0;      // XDP_*
  uint32_t duration_ns = 0;  // mean of one repeat
  std::vector<uint8_t> frame;
};

/// Runs the program `repeat` times on a frame.
Result<TestRun> test_run(int program_fd, std::span<const uint8_t> frame, uint32_t repeat = 1);

}  // namespace tfo
