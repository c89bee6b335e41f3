// SPDX-License-Identifier: BSD-2-Clause
#include "tools/bench_measure.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace tfo {

namespace {

double thread_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

}  // namespace

Result<double> time_run(int program, const std::vector<uint8_t>& frame, uint32_t repeat,
                        uint32_t verdict) {
  std::array<uint8_t, 4096> out{};
  LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(), .data_out = out.data(),
              .data_size_in = static_cast<__u32>(frame.size()), .data_size_out = out.size(),
              .repeat = static_cast<int>(repeat));
  const double before = thread_ns();
  const int error = bpf_prog_test_run_opts(program, &opts);
  const double after = thread_ns();
  if (error != 0) return fail_errno("the kernel's test run (BPF_PROG_TEST_RUN)", error);
  if (opts.retval != verdict) {
    return fail(fmt::format("a measured program returned {} instead of {}", opts.retval, verdict));
  }
  return (after - before) / repeat;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Result<Comparison> compare(const std::function<Result<double>()>& empty,
                           const std::function<Result<double>()>& program, unsigned runs) {
  std::vector<double> empties, nets;
  // The first pair only warms caches and branch predictors.
  for (unsigned run = 0; run <= runs; run++) {
    const auto before = empty();
    if (!before) return tl::unexpected<Error>(before.error());
    const auto busy = program();
    if (!busy) return tl::unexpected<Error>(busy.error());
    const auto after = empty();
    if (!after) return tl::unexpected<Error>(after.error());
    if (run == 0) continue;
    empties.push_back((*before + *after) / 2);
    nets.push_back(*busy - empties.back());
  }
  Comparison result{median(empties), median(nets), 0};
  std::sort(nets.begin(), nets.end());
  result.noise = (nets[nets.size() * 3 / 4] - nets[nets.size() / 4]) / 2;
  return result;
}

Result<int> claim_cpu(int cpu) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return fail_errno("sched_getaffinity");
  for (int i = 0; cpu < 0 && i < CPU_SETSIZE; i++) {
    const int last = CPU_SETSIZE - 1 - i;
    if (CPU_ISSET(last, &allowed)) cpu = last;
  }
  cpu_set_t one;
  CPU_ZERO(&one);
  if (cpu < CPU_SETSIZE) CPU_SET(cpu, &one);
  if (sched_setaffinity(0, sizeof(one), &one) != 0) {
    return fail_errno(fmt::format("--cpu {}: this process may not run there", cpu));
  }
  setpriority(PRIO_PROCESS, 0, -20);  // without the right to it the figures only get noisier
  return cpu;
}

}  // namespace tfo
