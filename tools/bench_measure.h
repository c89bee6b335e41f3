// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "loader/result.h"

namespace tfo {

/// Runs a program over one frame `repeat` times inside the kernel (BPF_PROG_TEST_RUN) and returns
/// the processor time per packet in ns. Taken from this thread's CPU clock: the kernel's own figure
/// is cut to whole nanoseconds, and the wall clock counts what else runs here. An error if the
/// program did not end with this verdict.
Result<double> time_run(int program, const std::vector<uint8_t>& frame, uint32_t repeat,
                        uint32_t verdict);

double median(std::vector<double> values);

/// A program against the empty one of the same kind.
struct Comparison {
  double empty;  // ns per packet, median
  double net;    // ns per packet more than the empty one, median
  double noise;  // half the distance between the quartiles of the net values
};

/// Interleaves the two, empty first and last, and compares each run of the program with the mean of
/// the empty runs right before and right after it, which cancels a drift of the machine's speed.
Result<Comparison> compare(const std::function<Result<double>()>& empty,
                           const std::function<Result<double>()>& program, unsigned runs);

/// Keeps this thread on one processor (-1: the last one that it may use), ahead of everything else
/// that runs there, since each change of task costs it its caches. Returns which processor.
Result<int> claim_cpu(int cpu);

}  // namespace tfo
