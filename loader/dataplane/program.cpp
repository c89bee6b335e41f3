// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <array>

namespace tfo {
namespace {

constexpr size_t kHeadroom = 256;  // a program may lengthen the frame

template <typename Loaded>
Result<Loaded> load_on(const MapSet& maps, const tfo_load_config& config) {
  auto program = Loaded::open();
  if (!program) return program;
  auto done = maps.share_with((*program)->obj);
  if (!done) return tl::unexpected(done.error());
  (*program)->rodata->tfo_cfg = config;
  done = program->load();
  if (!done) return tl::unexpected(done.error());
  return program;
}

}  // namespace

Result<XdpSkeleton> load_program(const MapSet& maps, const tfo_load_config& config) {
  return load_on<XdpSkeleton>(maps, config);
}

Result<EgressSkeleton> load_egress(const MapSet& maps, const tfo_load_config& config) {
  return load_on<EgressSkeleton>(maps, config);
}

Result<> start_clock(const XdpSkeleton& program) {
  const std::array<uint8_t, 64> frame{};
  auto run = test_run(bpf_program__fd(program->progs.tfo_clock_start), frame);
  if (!run) return tl::unexpected(std::move(run).error().in("cannot start the clock"));
  if (run->verdict != 0) return fail("cannot start the clock: the kernel refused the timer");
  return {};
}

Result<TestRun> test_run(int program_fd, std::span<const uint8_t> frame, uint32_t repeat) {
  TestRun run;
  run.frame.resize(frame.size() + kHeadroom);
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = frame.data();
  options.data_size_in = static_cast<uint32_t>(frame.size());
  options.data_out = run.frame.data();
  options.data_size_out = static_cast<uint32_t>(run.frame.size());
  options.repeat = static_cast<int>(repeat);
  const int error = bpf_prog_test_run_opts(program_fd, &options);
  if (error != 0) return fail_errno("BPF_PROG_TEST_RUN", error);
  run.verdict = options.retval;
  run.duration_ns = options.duration;
  run.frame.resize(options.data_size_out);
  return run;
}

}  // namespace tfo
