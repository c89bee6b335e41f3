// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/slow_wire.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <optional>

namespace tfo::test {
namespace {

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

constexpr int kRoom = 1 << 22;  // bytes of frames that wait to be read
constexpr int kPatience = 20;   // ms

/// An end of the wire; the calling thread is in its namespace.
Fd end_at(const std::string& interface) {
  Fd end(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  if (!end || address.sll_ifindex == 0 ||
      setsockopt(end.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)) != 0 ||
      setsockopt(end.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kRoom, sizeof(kRoom)) != 0 ||
      bind(end.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    std::perror("an end of a wire");
    std::abort();
  }
  return end;
}

uint16_t load16(View frame, size_t at) {
  return static_cast<uint16_t>(frame[at] << 8 | frame[at + 1]);
}

std::optional<SlowWire::Crossing> crossing_of(View frame) {
  constexpr size_t kIp = ETH_HLEN;
  if (frame.size() < kIp + 20 + 20 || load16(frame, 12) != ETHERTYPE_IP) return std::nullopt;
  const size_t tcp = kIp + (frame[kIp] & 15U) * size_t{4};
  if (frame[kIp + 9] != IPPROTO_TCP || frame.size() < tcp + 20) return std::nullopt;
  return SlowWire::Crossing{.flags = frame[tcp + 13],
                            .source_port = load16(frame, tcp),
                            .destination_port = load16(frame, tcp + 2)};
}

}  // namespace

SlowWire::SlowWire(const NetNs& where, const std::string& left, const std::string& right, Rule rule)
    : rule_(std::move(rule)) {
  const NetNs::Inside inside(where);
  ends_ = {end_at(left), end_at(right)};
  thread_ = std::thread([this] {
    while (!stop_) {
      std::array<pollfd, 2> wait = {{{.fd = ends_[0].get(), .events = POLLIN, .revents = 0},
                                     {.fd = ends_[1].get(), .events = POLLIN, .revents = 0}}};
      poll(wait.data(), wait.size(), kPatience);
      for (size_t from = 0; from < wait.size(); ++from) {
        if (wait.at(from).revents != 0) carry(from);
      }
    }
  });
}

SlowWire::~SlowWire() {
  stop_ = true;
  thread_.join();
}

void SlowWire::carry(size_t from) {
  Bytes frame(65536);
  const ssize_t got = recv(ends_.at(from).get(), frame.data(), frame.size(), 0);
  if (got <= 0) return;
  frame.resize(static_cast<size_t>(got));
  const size_t to = 1 - from;
  auto crossing = crossing_of(frame);
  Fate fate = Fate::kPasses;
  if (crossing) {
    crossing->to_right = from == 0;
    fate = rule_(*crossing);
  }
  if (fate == Fate::kPasses) send(to, frame);
  if (fate != Fate::kHeld) return;
  const std::lock_guard lock(mutex_);
  held_.emplace_back(to, std::move(frame));
}

void SlowWire::send(size_t to, const Bytes& frame) const {
  (void)::send(ends_.at(to).get(), frame.data(), frame.size(), 0);
}

size_t SlowWire::held() const {
  const std::lock_guard lock(mutex_);
  return held_.size();
}

void SlowWire::release() {
  std::vector<std::pair<size_t, Bytes>> all;
  {
    const std::lock_guard lock(mutex_);
    all.swap(held_);
  }
  for (const auto& [to, frame] : all) send(to, frame);
}

}  // namespace tfo::test
