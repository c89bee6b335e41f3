// SPDX-License-Identifier: BSD-2-Clause
#include "loader/audit/route.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

namespace tfo::audit {

namespace {

constexpr uint16_t kAnyPort = 9;  // connect() of a datagram socket sends nothing

int domain_of(const Address& address) { return address.family == 4 ? AF_INET : AF_INET6; }

const sockaddr* generic(const sockaddr_storage& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

bool local_name(const Fd& fd, Address& address, uint16_t& port) {
  sockaddr_storage name{};
  socklen_t length = sizeof(name);
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&name), &length) != 0) return false;
  address = from_sockaddr(name, port);
  return true;
}

int send_routed(std::span<const uint8_t> packet, const Segment& segment) {
  const Fd fd(socket(domain_of(segment.source), SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  if (!fd) return errno;
  sockaddr_storage address{};
  // Bound, so that rules that look at the source choose the route as for a connection.
  socklen_t length = to_sockaddr(segment.source, 0, address);
  if (bind(fd.get(), generic(address), length) != 0) return errno;
  length = to_sockaddr(segment.destination, 0, address);
  const ssize_t sent = sendto(fd.get(), packet.data(), packet.size(), 0, generic(address), length);
  return sent < 0 ? errno : 0;
}

int send_to_next_hop(std::span<const uint8_t> packet, const Segment& segment, const NextHop& hop) {
  const Fd fd(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  sockaddr_ll address{};
  if (hop.address.size() > sizeof(address.sll_addr)) return EAFNOSUPPORT;
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(segment.source.family == 4 ? ETH_P_IP : ETH_P_IPV6);
  address.sll_ifindex = hop.interface;
  address.sll_halen = static_cast<uint8_t>(hop.address.size());
  std::copy(hop.address.begin(), hop.address.end(), address.sll_addr);
  const ssize_t sent = sendto(fd.get(), packet.data(), packet.size(), 0,
                              reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  return sent < 0 ? errno : 0;
}

}  // namespace

Result<Address> source_towards(const Address& destination) {
  const Fd fd(socket(domain_of(destination), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("no socket");
  sockaddr_storage address{};
  const socklen_t length = to_sockaddr(destination, kAnyPort, address);
  Address source;
  uint16_t port = 0;
  if (connect(fd.get(), generic(address), length) != 0 || !local_name(fd, source, port)) {
    return fail_errno("no route to " + to_string(destination));
  }
  return source;
}

Result<ReservedPort> ReservedPort::reserve(const Address& source) {
  ReservedPort port;
  port.socket_ = Fd(socket(domain_of(source), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!port.socket_) return fail_errno("cannot reserve a port (ask fewer servers at once)");
  sockaddr_storage address{};
  const socklen_t length = to_sockaddr(source, 0, address);
  Address bound;
  if (bind(port.socket_.get(), generic(address), length) != 0 ||
      !local_name(port.socket_, bound, port.number_)) {
    return fail_errno(fmt::format("cannot send from {}", to_string(source)));
  }
  return port;
}

int send_packet(std::span<const uint8_t> packet, const Segment& segment,
                const std::optional<NextHop>& next_hop) {
  return next_hop ? send_to_next_hop(packet, segment, *next_hop) : send_routed(packet, segment);
}

}  // namespace tfo::audit
