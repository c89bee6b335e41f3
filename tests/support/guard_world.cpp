// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/guard_world.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cstring>

#include "bpf/cookie.h"
#include "bpf/settings.h"
#include "tests/support/cases.h"
#include "tests/support/host_core.h"

namespace tfo::test {
namespace {

constexpr const char* kVip4 = "192.0.2.10";
constexpr const char* kVip6 = "2001:db8::10";

/// All values of an array map.
template <class T>
Result<std::vector<T>> values(int fd, uint32_t entries) {
  std::vector<T> all(entries);
  for (uint32_t i = 0; i < entries; i++) {
    if (bpf_map_lookup_elem(fd, &i, &all[i]) != 0) return fail_errno("reading a table");
  }
  return all;
}

}  // namespace

Result<GuardWorld> GuardWorld::make(const tfo_guard& guard, uint32_t handshakes,
                                    tfo_vip_mode mode) {
  tfo_load_config config{};
  config.guard = 1;
  LoadSizes sizes;
  sizes.handshakes = handshakes;
  auto xdp = XdpUnderTest::load(config, sizes);
  if (!xdp) return tl::unexpected(xdp.error());
  GuardWorld world(std::move(*xdp));
  std::vector<VipRow> rows;
  for (const char* address : {kVip4, kVip6}) {
    rows.push_back({mapped(Address::of(address)), 443, kSlot, 0, static_cast<uint8_t>(mode)});
  }
  auto done = world.xdp_.set_vips(rows);
  if (done) done = world.xdp_.set_ring(0, ring_of({{kCurrentKey}}));
  tfo_policy policy{};
  policy.unproven_rate = 1'000'000;
  policy.unproven_ns = 1000;
  if (done) done = world.xdp_.set_policy(kSlot, policy);
  if (done) done = world.set(guard);
  if (!done) return tl::unexpected(done.error());
  world.advance(0);
  return world;
}

Packet GuardWorld::syn(const std::string& client, size_t data) {
  const bool v6 = client.find(':') != std::string::npos;
  Packet packet = Packet::syn(client, v6 ? kVip6 : kVip4);
  packet.option(fast_open(cookie_of(kCurrentKey, packet)));
  return packet.data(data);
}

void GuardWorld::from_number(Packet& syn, uint32_t number) {
  static const tfo_ring ring = ring_of({{kCurrentKey}});
  const uint32_t address = 0x0b000000U + number;
  for (int i = 0; i < 4; i++) {
    syn.ip.source.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(address >> (24 - 8 * i));
  }
  tfo_flow flow{};
  flow.family = 4;
  std::memcpy(flow.word, syn.ip.source.bytes.data(), 4);
  std::memcpy(reinterpret_cast<uint8_t*>(flow.word) + 4, syn.ip.destination.bytes.data(), 4);
  const uint64_t cookie = tfo_make_cookie(ring.generation[0].k0, ring.generation[0].k1, &flow);
  std::memcpy(syn.tcp.options.data() + 2, &cookie, sizeof(cookie));
}

Packet GuardWorld::segment(const Packet& syn, uint8_t flags, uint32_t past, uint32_t ack) {
  Packet packet = Packet::syn(syn.ip.source, syn.ip.destination);
  packet.ports(syn.tcp.source, syn.tcp.destination).flags(flags);
  packet.tcp.sequence = syn.tcp.sequence + 1 + past;
  packet.tcp.acknowledgment = ack;
  return packet;
}

Result<tfo_guard_answer> GuardWorld::send(const Packet& packet) {
  const auto before = counters();
  if (!before) return tl::unexpected(before.error());
  auto sent = pour(packet.frame());
  if (!sent) return tl::unexpected(sent.error());
  const auto after = counters();
  if (!after) return tl::unexpected(after.error());
  for (const tfo_guard_answer answer : {TFO_GUARD_OVER, TFO_GUARD_DUPLICATE, TFO_GUARD_DENIED}) {
    if (after->answer[answer] != before->answer[answer]) return answer;
  }
  return TFO_GUARD_OK;
}

Result<> GuardWorld::pour(const Bytes& frame, uint32_t repeat) const {
  LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(),
              .data_size_in = static_cast<uint32_t>(frame.size()),
              .repeat = static_cast<int>(repeat));
  if (bpf_prog_test_run_opts(xdp_.program_fd(), &opts) != 0) return fail_errno("running a frame");
  return {};
}

Result<tfo_guard_counters> GuardWorld::counters() const {
  tfo_guard_counters sum{};
  std::vector<tfo_guard_counters> each(static_cast<size_t>(libbpf_num_possible_cpus()));
  const uint32_t slot = kSlot;
  if (bpf_map_lookup_elem(xdp_.map_fd("guard_stats"), &slot, each.data()) != 0) {
    return fail_errno("guard_stats");
  }
  for (const tfo_guard_counters& one : each) {
    for (size_t i = 0; i < sizeof(one) / sizeof(__u64); i++) {
      reinterpret_cast<__u64*>(&sum)[i] += reinterpret_cast<const __u64*>(&one)[i];
    }
  }
  return sum;
}

Result<tfo_guard_vip> GuardWorld::vip() const {
  tfo_guard_vip vip{};
  const uint32_t slot = kSlot;
  if (bpf_map_lookup_elem(xdp_.map_fd("guard_vips"), &slot, &vip) != 0) {
    return fail_errno("guard_vips");
  }
  return vip;
}

Result<> GuardWorld::set(const tfo_guard& guard) const {
  for (const unsigned flags : {0, TFO_VIP_SECOND}) {
    const uint32_t index = tfo_settings_index(kSlot, flags);
    if (bpf_map_update_elem(xdp_.map_fd("guards"), &index, &guard, BPF_ANY) != 0) {
      return fail_errno("guards");
    }
  }
  return {};
}

Result<std::vector<GuardWorld::Load>> GuardWorld::loads() const {
  const uint32_t sets = xdp_.control().head_mask + 1;
  const auto heads = values<tfo_guard_heads>(xdp_.map_fd("guard_heads"), sets);
  if (!heads) return tl::unexpected(heads.error());
  const auto rows = values<tfo_guard_row>(xdp_.map_fd("guard_rows"), 2 * sets);
  if (!rows) return tl::unexpected(rows.error());
  std::vector<Load> loads;
  for (uint32_t i = 0; i < 2 * sets; i++) {
    const tfo_guard_head& head = (*heads)[i / 2].way[i % 2];
    if (head.tag != 0) loads.push_back({head, (*rows)[i]});
  }
  return loads;
}

Result<size_t> GuardWorld::handshakes(tfo_handshake_state state) const {
  const auto sets =
      values<tfo_handshake_set>(xdp_.map_fd("handshakes"), xdp_.control().handshake_mask + 1);
  if (!sets) return tl::unexpected(sets.error());
  size_t count = 0;
  for (const tfo_handshake_set& set : *sets) {
    for (const tfo_handshake& one : set.way) count += (one.word >> 8 & 255) == state ? 1 : 0;
  }
  return count;
}

Result<> GuardWorld::list(const std::string& prefix, uint32_t length,
                          tfo_guard_list_verdict verdict, uint64_t until_ns) {
  const Address address = Address::of(prefix);
  tfo_guard_list_key key{};
  key.length = address.v6 ? length : 96 + length;
  std::memcpy(key.prefix, mapped(address).data(), sizeof(key.prefix));
  const tfo_guard_list_entry entry{until_ns, static_cast<__u32>(verdict), key.length};
  if (bpf_map_update_elem(xdp_.map_fd("guard_list"), &key, &entry, BPF_ANY) != 0) {
    return fail_errno("guard_list");
  }
  xdp_.control().guard_list++;
  return {};
}

Result<std::vector<tfo_guard_event>> GuardWorld::events() const {
  std::vector<tfo_guard_event> events;
  const auto take = [](void* to, void* data, size_t size) {
    tfo_guard_event event{};
    std::memcpy(&event, data, std::min(size, sizeof(event)));
    static_cast<std::vector<tfo_guard_event>*>(to)->push_back(event);
    return 0;
  };
  ring_buffer* ring = ring_buffer__new(xdp_.map_fd("guard_events"), take, &events, nullptr);
  if (ring == nullptr) return fail_errno("guard_events");
  const int error = ring_buffer__consume(ring);
  ring_buffer__free(ring);
  if (error < 0) return fail_errno("guard_events", error);
  return events;
}

tfo_guard network_limits(uint32_t network, uint32_t cap) {
  tfo_guard guard{};
  guard.flags = TFO_GUARD_ON;
  guard.limit[TFO_LEVEL_NETWORK] = guard.limit[TFO_LEVEL_SITE] = network;
  guard.limit[TFO_LEVEL_VIP] = cap;
  guard.duplicate_ticks = static_cast<__u32>(60 * kSecond / kTick);
  return guard;
}

std::string client4(unsigned network, unsigned host) {
  return "10." + std::to_string(network / 256) + "." + std::to_string(network % 256) + "." +
         std::to_string(host);
}

Packet from_port(Packet syn, unsigned port) { return syn.ports(static_cast<uint16_t>(port), 443); }

uint32_t load(const GuardWorld& world) {
  const tfo_guard_head head = world.vip()->head;
  return head.opened - head.gone + head.resets;
}

}  // namespace tfo::test
