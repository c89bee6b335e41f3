// SPDX-License-Identifier: BSD-2-Clause
#include "loader/audit/listener.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <array>

namespace tfo::audit {

namespace {

constexpr size_t kMostAtOnce = 1024;
constexpr int kQueueBytes = 4 << 20;
constexpr uint32_t kAccept = 0xffff;  // bytes of the packet that are kept
constexpr uint8_t kTcpFlags = 0x16;   // SYN, RST, ACK
constexpr uint8_t kSynAck = 0x12;
constexpr uint8_t kRstAck = 0x14;

// What a jump of the filter names until its distance is known.
constexpr uint8_t kNext = 0;
constexpr uint8_t kDrop = 254;
constexpr uint8_t kPass = 255;

sock_filter load(uint16_t size, uint32_t at) {
  return {static_cast<uint16_t>(BPF_LD | size | BPF_ABS), 0, 0, at};
}
sock_filter load_from_x(uint32_t at) { return {BPF_LD | BPF_B | BPF_IND, 0, 0, at}; }
sock_filter and_with(uint32_t mask) { return {BPF_ALU | BPF_AND | BPF_K, 0, 0, mask}; }
sock_filter jump(uint16_t test, uint32_t value, uint8_t if_true, uint8_t if_false) {
  return {static_cast<uint16_t>(BPF_JMP | test | BPF_K), if_true, if_false, value};
}

uint32_t word_of(const Address& address, size_t at) {
  uint32_t word = 0;
  std::memcpy(&word, address.bytes.data() + at, sizeof(word));
  return ntohl(word);
}

/// Replies to one source, IPv4.
std::vector<sock_filter> block4(const Address& source) {
  return {load(BPF_W, 16),
          jump(BPF_JEQ, word_of(source, 0), kNext, kDrop),
          load(BPF_H, 6),
          jump(BPF_JSET, 0x1fff, kDrop, kNext),  // a later fragment
          {BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0},  // X: length of the IP header
          load(BPF_B, 9),
          jump(BPF_JEQ, IPPROTO_TCP, kNext, 4),
          load_from_x(13),
          and_with(kTcpFlags),
          jump(BPF_JEQ, kSynAck, kPass, kNext),
          jump(BPF_JEQ, kRstAck, kPass, kDrop),
          jump(BPF_JEQ, IPPROTO_ICMP, kNext, kDrop),
          load_from_x(0),
          jump(BPF_JEQ, 3, kPass, kNext),
          jump(BPF_JEQ, 11, kPass, kDrop)};
}

/// Replies to one source, IPv6.
std::vector<sock_filter> block6(const Address& source) {
  std::vector<sock_filter> block;
  for (uint32_t at = 0; at < 16; at += 4) {
    block.push_back(load(BPF_W, 24 + at));
    block.push_back(jump(BPF_JEQ, word_of(source, at), kNext, kDrop));
  }
  block.insert(block.end(),
               {load(BPF_B, 6), jump(BPF_JEQ, IPPROTO_TCP, kNext, 4), load(BPF_B, 40 + 13),
                and_with(kTcpFlags), jump(BPF_JEQ, kSynAck, kPass, kNext),
                jump(BPF_JEQ, kRstAck, kPass, kDrop), jump(BPF_JEQ, IPPROTO_ICMPV6, kNext, kDrop),
                load(BPF_B, 40), jump(BPF_JEQ, 1, kPass, kNext), jump(BPF_JEQ, 3, kPass, kDrop)});
  return block;
}

uint8_t distance(uint8_t target, size_t at, size_t size) {
  if (target == kPass) return static_cast<uint8_t>(size - at - 1);
  if (target == kDrop) return static_cast<uint8_t>(size - at);  // past the block's "accept"
  return target;
}

/// Appends a block that ends in "accept"; what it does not accept goes on behind it.
void append(std::vector<sock_filter>& program, std::vector<sock_filter> block) {
  for (size_t i = 0; i < block.size(); i++) {
    if (BPF_CLASS(block[i].code) != BPF_JMP) continue;
    block[i].jt = distance(block[i].jt, i, block.size());
    block[i].jf = distance(block[i].jf, i, block.size());
  }
  block.push_back({BPF_RET | BPF_K, 0, 0, kAccept});
  program.insert(program.end(), block.begin(), block.end());
}

}  // namespace

std::vector<sock_filter> reply_filter(int family, const std::vector<Address>& sources) {
  std::vector<sock_filter> program;
  for (const Address& source : sources) {
    if (source.family == family) append(program, family == 4 ? block4(source) : block6(source));
  }
  program.push_back({BPF_RET | BPF_K, 0, 0, 0});
  return program;
}

Result<Listener> Listener::open(const std::vector<Address>& sources) {
  Listener listener;
  for (const int family : {4, 6}) {
    if (auto done = listener.add(family, sources); !done) {
      return tl::unexpected<Error>(done.error());
    }
  }
  return listener;
}

/// The filter is there before the socket hears anything.
Result<> Listener::add(int family, const std::vector<Address>& sources) {
  std::vector<sock_filter> filter = reply_filter(family, sources);
  if (filter.size() == 1) return {};
  Fd fd(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd && errno == EPERM) return fail("packet sockets need CAP_NET_RAW: run the audit as root");
  if (!fd) return fail_errno("no packet socket");
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0) {
    return fail_errno("packet socket: its filter was refused");
  }
  // Thousands of answers may come at once; an ordinary queue holds some 250.
  if (setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kQueueBytes, sizeof(kQueueBytes)) != 0) {
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kQueueBytes, sizeof(kQueueBytes));
  }
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(family == 4 ? ETH_P_IP : ETH_P_IPV6);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return fail_errno("packet socket: cannot listen");
  }
  sockets_.push_back(std::move(fd));
  return {};
}

Result<std::vector<Reply>> Listener::receive(std::chrono::milliseconds wait) {
  std::vector<pollfd> polled;
  polled.reserve(sockets_.size());
  for (const Fd& fd : sockets_) polled.push_back({fd.get(), POLLIN, 0});
  const int ready = poll(polled.data(), polled.size(), static_cast<int>(wait.count()));
  if (ready < 0 && errno != EINTR) return fail_errno("waiting for replies");
  std::vector<Reply> replies;
  std::array<uint8_t, 2048> buffer{};
  for (const Fd& fd : sockets_) {
    ssize_t got = 0;
    while (replies.size() < kMostAtOnce &&
           (got = recv(fd.get(), buffer.data(), buffer.size(), 0)) > 0) {
      auto reply = parse_reply(std::span(buffer).first(static_cast<size_t>(got)));
      if (reply) replies.push_back(std::move(*reply));
    }
    // The interface that something came in by may be down or gone: the others still speak.
    if (got < 0 && errno != EAGAIN && errno != EINTR && errno != ENETDOWN) {
      return fail_errno("receiving replies");
    }
  }
  return replies;
}

}  // namespace tfo::audit
