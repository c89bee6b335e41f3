// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/wire_count.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace tfo::test {
namespace {

constexpr uint32_t kIp = 14, kTcp = kIp + 20;
constexpr uint32_t kSyn = 2, kSynAck = 0x12, kFastOpen = 34, kTaken = 0xffff;

/// Jumps are put right by close(): all that fails goes to the end.
class Filter {
 public:
  Filter& load(unsigned size, uint32_t at) {
    return add(static_cast<uint16_t>(BPF_LD | BPF_ABS | size), at);
  }
  Filter& keep(uint32_t bits) { return add(BPF_ALU | BPF_AND | BPF_K, bits); }
  Filter& is(uint32_t value) { return add(BPF_JMP | BPF_JEQ | BPF_K, value); }
  Filter& exceeds(uint32_t value) { return add(BPF_JMP | BPF_JGT | BPF_K, value); }

  std::vector<sock_filter> close() {
    add(BPF_RET | BPF_K, kTaken).add(BPF_RET | BPF_K, 0);
    for (size_t i = 0; i < code_.size(); ++i) {
      if (BPF_CLASS(code_[i].code) == BPF_JMP) {
        code_[i].jf = static_cast<uint8_t>(code_.size() - i - 2);
      }
    }
    return code_;
  }

 private:
  Filter& add(uint16_t code, uint32_t value) {
    code_.push_back({.code = code, .jt = 0, .jf = 0, .k = value});
    return *this;
  }
  std::vector<sock_filter> code_;
};

std::vector<sock_filter> filter_of(WireCount::Kind kind) {
  Filter filter;
  filter.load(BPF_B, static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE)).is(PACKET_OUTGOING);
  filter.load(BPF_H, 12).is(ETHERTYPE_IP).load(BPF_B, kIp + 9).is(IPPROTO_TCP);
  filter.load(BPF_B, kTcp + 13);
  if (kind == WireCount::Kind::kData) {
    return filter.keep(kSyn).is(0).load(BPF_H, kIp + 2).exceeds(20 + 20).close();
  }
  filter.keep(kSynAck).is(kSynAck);
  if (kind == WireCount::Kind::kSynAckWithCookie) {
    filter.load(BPF_B, kTcp + 20 + 4).is(kFastOpen);
  }
  return filter.close();
}

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::abort();
}

}  // namespace

WireCount::WireCount(const std::string& interface, Kind kind)
    : socket_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
  std::vector<sock_filter> code = filter_of(kind);
  const sock_fprog program{static_cast<uint16_t>(code.size()), code.data()};
  const int room = 1;  // what finds none is counted as well
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  if (!socket_ || address.sll_ifindex == 0 ||
      setsockopt(socket_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0 ||
      setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)) != 0 ||
      bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    die("counting packet socket");
  }
}

uint64_t WireCount::total() {
  tpacket_stats since_last{};
  socklen_t size = sizeof(since_last);
  if (getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &since_last, &size) != 0) {
    die("PACKET_STATISTICS");
  }
  total_ += since_last.tp_packets;
  return total_;
}

}  // namespace tfo::test
