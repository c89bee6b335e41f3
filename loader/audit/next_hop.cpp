// SPDX-License-Identifier: BSD-2-Clause
#include "loader/audit/next_hop.h"

#include <fmt/format.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <thread>

#include "loader/dataplane/fd.h"

namespace tfo::audit {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr unsigned kValid = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;
constexpr milliseconds kPause(10);
constexpr milliseconds kPatienceOfKernel(2000);

sa_family_t kernel_family(const Address& address) {
  return address.family == 4 ? AF_INET : AF_INET6;
}

/// One rtnetlink request: a header of its type, then attributes.
template <class Header>
class Request {
 public:
  Request(uint16_t type, uint16_t flags) {
    message_.head.nlmsg_type = type;
    message_.head.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    message_.head.nlmsg_len = NLMSG_LENGTH(sizeof(Header));
  }
  Header& header() { return message_.header; }
  void add(uint16_t type, const void* data, size_t size) {
    auto* at = reinterpret_cast<char*>(&message_) + NLMSG_ALIGN(message_.head.nlmsg_len);
    auto* attribute = reinterpret_cast<rtattr*>(at);
    attribute->rta_type = type;
    attribute->rta_len = static_cast<uint16_t>(RTA_LENGTH(size));
    std::memcpy(RTA_DATA(attribute), data, size);
    message_.head.nlmsg_len = NLMSG_ALIGN(message_.head.nlmsg_len) + RTA_LENGTH(size);
  }
  const nlmsghdr& message() const { return message_.head; }

 private:
  struct {
    nlmsghdr head;
    Header header;
    char attributes[128];
  } message_{};
};

/// The kernel's answer to one request; its attributes live in it.
struct RouteAnswer {
  alignas(nlmsghdr) std::array<char, 8192> bytes{};
  int error = 0;  ///< errno value; 0: done

  const nlmsghdr* head() const { return reinterpret_cast<const nlmsghdr*>(bytes.data()); }
  template <class Header>
  const Header& header() const {
    return *reinterpret_cast<const Header*>(NLMSG_DATA(bytes.data()));
  }
  template <class Header>
  const rtattr* find(uint16_t type) const {
    const auto* at = reinterpret_cast<const rtattr*>(bytes.data() + NLMSG_SPACE(sizeof(Header)));
    auto left = static_cast<int>(head()->nlmsg_len) - static_cast<int>(NLMSG_SPACE(sizeof(Header)));
    for (; RTA_OK(at, left); at = RTA_NEXT(at, left)) {
      if (at->rta_type == type) return at;
    }
    return nullptr;
  }
};

RouteAnswer ask(const Fd& netlink, const nlmsghdr& request) {
  RouteAnswer answer;
  const ssize_t sent = send(netlink.get(), &request, request.nlmsg_len, 0);
  const ssize_t got =
      sent < 0 ? -1 : recv(netlink.get(), answer.bytes.data(), answer.bytes.size(), 0);
  if (got < static_cast<ssize_t>(sizeof(nlmsghdr))) {
    answer.error = got < 0 ? errno : EPROTO;
  } else if (answer.head()->nlmsg_type == NLMSG_ERROR) {
    answer.error = -answer.header<nlmsgerr>().error;
  }
  return answer;
}

/// The interface that leads to a neighbour.
Result<int> find_interface(const Fd& netlink, const Address& address) {
  Request<rtmsg> request(RTM_GETROUTE, 0);
  request.header().rtm_family = static_cast<uint8_t>(kernel_family(address));
  request.header().rtm_dst_len = static_cast<uint8_t>(8 * address.size());
  request.add(RTA_DST, address.bytes.data(), address.size());
  if (address.scope != 0) request.add(RTA_OIF, &address.scope, sizeof(address.scope));
  const RouteAnswer answer = ask(netlink, request.message());
  const std::string name = "next hop " + to_string(address);
  if (answer.error != 0) return fail_errno(name + ": no route to it", answer.error);
  const unsigned type = answer.header<rtmsg>().rtm_type;
  if (type == RTN_LOCAL) return fail(name + " is an address of this host: ask it without --via");
  const rtattr* interface = answer.find<rtmsg>(RTA_OIF);
  if (type != RTN_UNICAST || interface == nullptr) {
    return fail(name + ": no unicast route leads to it");
  }
  if (answer.find<rtmsg>(RTA_GATEWAY) != nullptr || answer.find<rtmsg>(RTA_VIA) != nullptr) {
    return fail(name +
                " lies behind a gateway: a next hop is a neighbour on a network of this "
                "host; run the audit on a node of that network");
  }
  int index = 0;
  std::memcpy(&index, RTA_DATA(interface), sizeof(index));
  return index;
}

/// Does the device carry Ethernet addresses? Tunnels and tun devices have none.
Result<bool> has_addresses(int interface) {
  const Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  if (!any || if_indextoname(static_cast<unsigned>(interface), request.ifr_name) == nullptr ||
      ioctl(any.get(), SIOCGIFHWADDR, &request) != 0) {
    return fail_errno("cannot read the link address of an interface");
  }
  const unsigned type = request.ifr_hwaddr.sa_family;
  if (type == ARPHRD_INFINIBAND) {
    return fail(fmt::format("{} is InfiniBand: only Ethernet and tunnels can be sent to a next hop",
                            request.ifr_name));
  }
  return type == ARPHRD_ETHER;
}

void set_neighbour(Request<ndmsg>& request, const Address& address, int interface) {
  request.header().ndm_family = static_cast<uint8_t>(kernel_family(address));
  request.header().ndm_ifindex = interface;
  request.add(NDA_DST, address.bytes.data(), address.size());
}

/// True once the kernel has a usable entry; its link-layer address goes to `hop`.
Result<bool> look_up(const Fd& netlink, const Address& address, NextHop& hop) {
  Request<ndmsg> request(RTM_GETNEIGH, 0);
  set_neighbour(request, address, hop.interface);
  const RouteAnswer answer = ask(netlink, request.message());
  if (answer.error == ENOENT) return false;
  if (answer.error != 0) return fail_errno("the neighbour table", answer.error);
  const rtattr* link = answer.find<ndmsg>(NDA_LLADDR);
  if ((answer.header<ndmsg>().ndm_state & kValid) == 0 || link == nullptr) return false;
  const auto* bytes = static_cast<const uint8_t*>(RTA_DATA(link));
  hop.address.assign(bytes, bytes + RTA_PAYLOAD(link));
  return true;
}

/// As a packet for it would: neigh_event_send() in net/core/neighbour.c.
Result<> make_kernel_resolve(const Fd& netlink, const Address& address, int interface) {
  Request<ndmsg> request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_ACK);
  request.header().ndm_flags = NTF_USE;
  set_neighbour(request, address, interface);
  const RouteAnswer answer = ask(netlink, request.message());
  if (answer.error == 0) return {};
  return fail_errno("next hop " + to_string(address) + ": cannot be resolved", answer.error);
}

Result<NextHop> resolve(const Fd& netlink, const Address& address, NextHop hop,
                        milliseconds patience) {
  const auto deadline = steady_clock::now() + patience;
  for (bool asked = false;; asked = true) {
    const auto known = look_up(netlink, address, hop);
    if (!known) return tl::unexpected<Error>(known.error());
    hop.resolved = *known;
    if (*known || steady_clock::now() >= deadline) return hop;
    if (!asked) {
      if (auto done = make_kernel_resolve(netlink, address, hop.interface); !done) {
        return tl::unexpected<Error>(done.error());
      }
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace

Result<NextHop> find_next_hop(const Address& address, milliseconds patience) {
  const Fd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!netlink) return fail_errno("rtnetlink");
  const timeval wait{std::chrono::duration_cast<std::chrono::seconds>(kPatienceOfKernel).count(),
                     0};
  setsockopt(netlink.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
  const auto interface = find_interface(netlink, address);
  if (!interface) return tl::unexpected<Error>(interface.error());
  const auto ethernet = has_addresses(*interface);
  if (!ethernet) return tl::unexpected<Error>(ethernet.error());
  NextHop hop;
  hop.interface = *interface;
  if (!*ethernet) return hop;
  return resolve(netlink, address, hop, patience);
}

}  // namespace tfo::audit
