// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/frame_sender.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace tfo::test {
namespace {

constexpr size_t kBatch = 64;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::abort();
}

}  // namespace

FrameSender::FrameSender(const std::string& interface)
    : socket_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  if (!socket_ || address.sll_ifindex == 0 ||
      bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    die("packet socket");
  }
}

uint64_t FrameSender::send(const std::vector<Bytes>& frames, uint64_t count) {
  std::array<mmsghdr, kBatch> messages{};
  std::array<iovec, kBatch> parts{};
  uint64_t sent = 0;
  while (sent < count) {
    const size_t n = std::min<uint64_t>(kBatch, count - sent);
    for (size_t i = 0; i < n; ++i) {
      const Bytes& frame = frames[(next_ + i) % frames.size()];
      parts[i] = {const_cast<uint8_t*>(frame.data()), frame.size()};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int done = sendmmsg(socket_.get(), messages.data(), static_cast<unsigned>(n), 0);
    if (done < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR) die("sendmmsg");
    if (done > 0) {
      sent += static_cast<uint64_t>(done);
      next_ = (next_ + static_cast<size_t>(done)) % frames.size();
    }
  }
  return sent;
}

InterfaceDrops interface_drops(const std::string& interface) {
  // Of this thread's namespace, whatever is mounted on /sys.
  std::ifstream file("/proc/thread-self/net/dev");
  std::string line;
  while (std::getline(file, line)) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const auto start = line.find_first_not_of(' ');
    if (line.substr(start, colon - start) != interface) continue;
    std::istringstream fields(line.substr(colon + 1));
    std::array<uint64_t, 16> value{};
    for (auto& field : value) fields >> field;
    // bytes packets errs drop fifo frame compressed multicast, for reception and transmission.
    return {value[9], value[2] + value[3] + value[10] + value[11]};
  }
  return {};
}

}  // namespace tfo::test
