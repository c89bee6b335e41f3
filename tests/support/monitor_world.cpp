// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/monitor_world.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstring>
#include <memory>

#include "tests/support/guard_egress.h"

namespace tfo::test {
namespace {

int take_sample(void* to, void* data, size_t size) {
  if (size != sizeof(tfo_sample)) return -EINVAL;
  tfo_sample sample{};
  std::memcpy(&sample, data, sizeof(sample));
  static_cast<std::vector<tfo_sample>*>(to)->push_back(sample);
  return 0;
}

/// One value of a per-CPU map: every CPU's.
template <class T>
Result<std::vector<T>> every_cpu(int fd, uint32_t index) {
  std::vector<T> values(static_cast<size_t>(libbpf_num_possible_cpus()));
  if (bpf_map_lookup_elem(fd, &index, values.data()) != 0) return fail_errno("a per-CPU map");
  return values;
}

}  // namespace

Result<MonitorWorld> MonitorWorld::make(uint8_t monitor, uint32_t lines) {
  tfo_load_config config{};
  config.monitor = monitor;
  auto xdp = XdpUnderTest::load(config, {.bloom_lines = lines});
  if (!xdp) return tl::unexpected(xdp.error());
  auto egress = load_egress(*xdp, config);
  if (!egress) return tl::unexpected(egress.error());
  xdp->set_now(1'000'000'000'000);
  return MonitorWorld(std::move(*xdp), std::move(*egress));
}

Result<> MonitorWorld::watch(const std::string& prefix, unsigned length, const tfo_target& target) {
  tfo_target_key key{};
  const bool ipv6 = prefix.find(':') != std::string::npos;
  key.length = length + (ipv6 ? 0 : 96);
  if (!ipv6) key.prefix[10] = key.prefix[11] = 0xff;
  if (inet_pton(ipv6 ? AF_INET6 : AF_INET, prefix.c_str(), key.prefix + (ipv6 ? 0 : 12)) != 1) {
    return fail("no address: " + prefix);
  }
  if (bpf_map_update_elem(xdp_.map_fd("targets"), &key, &target, BPF_ANY) != 0) {
    return fail_errno("targets");
  }
  return {};
}

void MonitorWorld::advance(uint64_t ns) { xdp_.set_now(now() + ns); }

Result<> MonitorWorld::leave(const Packet& packet) const { return test::leave(egress_, packet); }

Result<> MonitorWorld::arrive(const Packet& packet) const {
  const Bytes frame = packet.frame();
  LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(),
              .data_size_in = static_cast<uint32_t>(frame.size()), .repeat = 1);
  if (bpf_prog_test_run_opts(xdp_.program_fd(), &opts) != 0) return fail_errno("a run");
  return opts.retval == XDP_PASS ? Result<>{} : fail("a packet was not passed");
}

Result<tfo_monitor_counters> MonitorWorld::counters(uint16_t subject) const {
  auto values = every_cpu<tfo_monitor_counters>(xdp_.map_fd("monitor_stats"), subject);
  if (!values) return tl::unexpected(values.error());
  tfo_monitor_counters sum{};
  auto* to = reinterpret_cast<uint64_t*>(&sum);
  for (const auto& value : *values) {
    const auto* from = reinterpret_cast<const uint64_t*>(&value);
    for (size_t i = 0; i < sizeof(sum) / sizeof(uint64_t); i++) to[i] += from[i];
  }
  return sum;
}

Result<std::vector<tfo_monitor_cpu>> MonitorWorld::cpus() const {
  return every_cpu<tfo_monitor_cpu>(xdp_.map_fd("monitor_cpus"), 0);
}

Result<tfo_tally> MonitorWorld::unsolicited(uint16_t subject) const {
  const auto all = counters(subject);
  if (!all) return tl::unexpected(all.error());
  tfo_tally sum{};
  for (const auto& row : all->unsolicited) {
    for (const tfo_tally& tally : row) {
      sum.packets += tally.packets;
      sum.bytes += tally.bytes;
    }
  }
  return sum;
}

Result<std::vector<tfo_sample>> MonitorWorld::samples() const {
  std::vector<tfo_sample> found;
  const std::unique_ptr<ring_buffer, decltype(&ring_buffer__free)> ring(
      ring_buffer__new(xdp_.map_fd("samples"), take_sample, &found, nullptr), ring_buffer__free);
  if (!ring || ring_buffer__consume(ring.get()) < 0) return fail_errno("the ring of samples");
  return found;
}

Packet unasked(const std::string& source, const std::string& destination, uint16_t port) {
  Packet packet = Packet::syn(source, destination);
  packet.ports(443, port).flags(kSyn | kAck);
  packet.tcp.acknowledgment = 1;
  return packet;
}

}  // namespace tfo::test
