// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/other_program.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <net/if.h>

#include <cstdint>
#include <span>

namespace tfo::test {
namespace {

constexpr int32_t kOtherBit = 0x8000;
constexpr int32_t kNext = -1;  // TCX_NEXT
constexpr int kProtocol = 23, kSourcePort = 34, kChecksum = 50;

constexpr bpf_insn move(uint8_t to, uint8_t from) {
  return {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = to, .src_reg = from, .off = 0, .imm = 0};
}
constexpr bpf_insn set(uint8_t to, int32_t value) {
  return {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = to, .src_reg = 0, .off = 0, .imm = value};
}
/// r0 = what stands there in the packet, in the host's order; needs the packet in r6.
constexpr bpf_insn load(uint8_t size, int32_t at) {
  return {.code = static_cast<uint8_t>(BPF_LD | BPF_ABS | size),
          .dst_reg = 0,
          .src_reg = 0,
          .off = 0,
          .imm = at};
}
constexpr bpf_insn unless_r0_is(int32_t value, int16_t skip) {
  return {.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 0, .src_reg = 0, .off = skip, .imm = value};
}
constexpr bpf_insn to_network(uint8_t what) {
  return {
      .code = BPF_ALU | BPF_END | BPF_TO_BE, .dst_reg = what, .src_reg = 0, .off = 0, .imm = 16};
}
constexpr bpf_insn call(int32_t helper) {
  return {.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = helper};
}
constexpr bpf_insn kExit = {
    .code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0};

Fd put_first(const std::string& interface, std::span<const bpf_insn> code) {
  constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47);  // Linux 6.6
  constexpr uint32_t kBefore = 1U << 3;
  const Fd program(
      bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "others", "GPL", code.data(), code.size(), nullptr));
  LIBBPF_OPTS(bpf_link_create_opts, options, .flags = kBefore);
  return Fd(bpf_link_create(program.get(), static_cast<int>(if_nametoindex(interface.c_str())),
                            kTcxEgress, &options));
}

}  // namespace

Fd end_chain(const std::string& interface) {
  const bpf_insn code[] = {set(0, 0), kExit};
  return put_first(interface, code);
}

Fd rewrite_ports(const std::string& interface) {
  const bpf_insn code[] = {
      move(6, 1),
      load(BPF_H, 12),
      unless_r0_is(0x0800, 22),
      load(BPF_B, kProtocol),
      unless_r0_is(6, 20),
      load(BPF_H, kSourcePort),
      move(7, 0),
      move(8, 0),
      {.code = BPF_ALU64 | BPF_XOR | BPF_K, .dst_reg = 8, .src_reg = 0, .off = 0, .imm = kOtherBit},
      to_network(7),
      to_network(8),
      {.code = BPF_STX | BPF_MEM | BPF_H, .dst_reg = 10, .src_reg = 8, .off = -8, .imm = 0},
      move(1, 6),
      set(2, kChecksum),
      move(3, 7),
      move(4, 8),
      set(5, 2),
      call(BPF_FUNC_l4_csum_replace),
      move(1, 6),
      set(2, kSourcePort),
      move(3, 10),
      {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 3, .src_reg = 0, .off = 0, .imm = -8},
      set(4, 2),
      set(5, 0),
      call(BPF_FUNC_skb_store_bytes),
      set(0, kNext),
      kExit};
  return put_first(interface, code);
}

}  // namespace tfo::test
