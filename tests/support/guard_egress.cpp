// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/guard_egress.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

namespace tfo::test {

Result<EgressSkeleton> load_egress(const XdpUnderTest& xdp, const tfo_load_config& config) {
  auto egress = EgressSkeleton::open();
  if (!egress) return egress;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, (*egress)->obj) {
    const int fd = xdp.map_fd(bpf_map__name(map));
    if (map != (*egress)->maps.rodata && fd >= 0) bpf_map__reuse_fd(map, fd);
  }
  (*egress)->rodata->tfo_cfg = config;
  auto loaded = egress->load();
  if (!loaded) return tl::unexpected(loaded.error());
  return egress;
}

Result<> leave(const EgressSkeleton& egress, const Packet& packet) {
  const Bytes frame = packet.frame();
  LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(),
              .data_size_in = static_cast<uint32_t>(frame.size()), .repeat = 1);
  if (bpf_prog_test_run_opts(bpf_program__fd(egress->progs.tfo_egress), &opts) != 0) {
    return fail_errno("running the egress program");
  }
  return static_cast<int>(opts.retval) == -1 ? Result<>{} : fail("a packet did not go on");
}

Packet syn_ack(const Packet& syn, uint32_t isn, uint32_t past) {
  Packet packet = Packet::syn(syn.ip.destination, syn.ip.source);
  packet.ports(syn.tcp.destination, syn.tcp.source).flags(kSyn | kAck);
  packet.tcp.sequence = isn;
  packet.tcp.acknowledgment = syn.tcp.sequence + 1 + past;
  return packet;
}

}  // namespace tfo::test
