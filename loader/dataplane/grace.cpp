// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/grace.h"

#include <bpf/bpf.h>

namespace tfo {

Result<GracePeriod> GracePeriod::create() {
  Fd inner(bpf_map_create(BPF_MAP_TYPE_ARRAY, "tfo_grace_in", 4, 4, 1, nullptr));
  if (!inner) return fail_errno("cannot create a BPF map (needs root, or CAP_BPF)");
  LIBBPF_OPTS(bpf_map_create_opts, options);
  options.inner_map_fd = static_cast<uint32_t>(inner.get());
  Fd outer(bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "tfo_grace", 4, 4, 1, &options));
  if (!outer) return fail_errno("cannot create the array of maps that grace periods need");
  return GracePeriod(std::move(inner), std::move(outer));
}

Result<> GracePeriod::wait() {
  const uint32_t zero = 0;
  const int inner = inner_.get();
  if (bpf_map_update_elem(outer_.get(), &zero, &inner, BPF_ANY) != 0) {
    return fail_errno("cannot wait for the packets in flight");
  }
  ++passed_;
  return {};
}

Result<> GracePeriod::wait_since(uint64_t mark) {
  if (passed_ > mark) return {};
  return wait();
}

}  // namespace tfo
