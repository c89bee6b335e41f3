// SPDX-License-Identifier: BSD-2-Clause
#include "tests/bpf/burst.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/types.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "bpf/tfo_bench.h"
#include "loader/dataplane/skeleton.h"

// After the types that it uses.
#include <tfo_bench.skel.h>

namespace tfo::test {

struct Burst::State {
  explicit State(Skeleton<tfo_bench> opened) : bench(std::move(opened)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (table != nullptr) munmap(table, most * sizeof(*table));
  }

  Skeleton<tfo_bench> bench;
  size_t most = 0;
  tfo_bench_packet* table = nullptr;  // mapped
  int program = -1;
  size_t length = TFO_BENCH_MIN_LEN;
};

Burst::Burst(std::unique_ptr<State> state) : state_(std::move(state)) {}
Burst::Burst(Burst&&) noexcept = default;
Burst& Burst::operator=(Burst&&) noexcept = default;
Burst::~Burst() = default;

Result<Burst> Burst::open(Hook hook, int program, uint32_t most) {
  auto bench = Skeleton<tfo_bench>::open();
  if (!bench) return tl::unexpected(bench.error());
  auto state = std::make_unique<State>(std::move(*bench));
  tfo_bench& object = *state->bench;
  const auto& progs = object.progs;
  bpf_map__set_max_entries(object.maps.bench_packets, most);
  for (bpf_program* one : {progs.bench_empty, progs.bench_cold_empty, progs.bench_cold_tfo}) {
    bpf_program__set_expected_attach_type(one, BPF_XDP);  // as the measured one (libbpf)
  }
  if (auto loaded = state->bench.load(); !loaded) return tl::unexpected(loaded.error());
  const bool xdp = hook == Hook::kXdp;
  const bpf_map* targets = xdp ? object.maps.bench_targets : object.maps.bench_tc_targets;
  const uint32_t index = TFO_BENCH_TFO;
  if (bpf_map_update_elem(bpf_map__fd(targets), &index, &program, BPF_ANY) != 0) {
    return fail_errno("the kernel does not put the program into a program array");
  }
  void* memory = mmap(nullptr, most * sizeof(tfo_bench_packet), PROT_READ | PROT_WRITE, MAP_SHARED,
                      bpf_map__fd(object.maps.bench_packets), 0);
  if (memory == MAP_FAILED) return fail_errno("cannot map the table of prepared packets");
  state->table = static_cast<tfo_bench_packet*>(memory);
  state->most = most;
  state->program = bpf_program__fd(xdp ? progs.bench_cold_tfo : progs.bench_tc_cold_tfo);
  object.bss->bench_mask = most - 1;
  return Burst(std::move(state));
}

void Burst::put(uint32_t index, const Segment& segment) {
  const View frame = segment.frame();
  state_->length = std::max<size_t>(frame.size(), TFO_BENCH_MIN_LEN);
  std::memcpy(state_->table[index].bytes, frame.data(),
              std::min<size_t>(frame.size(), TFO_BENCH_MAX_LEN));
}

bool Burst::run(uint32_t count) {
  uint8_t out[TFO_BENCH_MAX_LEN];
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = state_->table->bytes, .data_out = out,
              .data_size_in = static_cast<uint32_t>(state_->length), .data_size_out = sizeof(out),
              .repeat = static_cast<int>(count));
  // The measuring programs return 0 where they do not reach the one that is measured.
  return bpf_prog_test_run_opts(state_->program, &options) == 0 && options.retval != 0;
}

bool Burst::run(const std::vector<Segment>& segments) {
  if (segments.empty()) return true;
  if (segments.size() > state_->most) return false;
  state_->bench->bss->bench_next = 0;
  for (uint32_t i = 0; i < segments.size(); i++) put(i, segments[i]);
  return run(static_cast<uint32_t>(segments.size()));
}

}  // namespace tfo::test
