// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/device.h"

#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <optional>

#include "loader/dataplane/fd.h"

namespace tfo {
namespace {

constexpr uint16_t kArphrdIp6Gre = 823;  // ARPHRD_IP6GRE of linux/if_arp.h

/// ARPHRD_* of the interface: do its frames start with the IP header? Nothing if with another one.
std::optional<bool> starts_with_ip(uint16_t type) {
  switch (type) {
    case ARPHRD_ETHER:
    case ARPHRD_LOOPBACK:
      return false;
    case ARPHRD_NONE:
    case ARPHRD_RAWIP:
    case ARPHRD_PPP:
    case ARPHRD_TUNNEL:
    case ARPHRD_TUNNEL6:
    case ARPHRD_SIT:
    case ARPHRD_IPGRE:
    case kArphrdIp6Gre:
      return true;
    default:
      return std::nullopt;
  }
}

}  // namespace

unsigned device_index(const std::string& name) { return if_nametoindex(name.c_str()); }

Result<Device> find_device(const std::string& name) {
  Device device{.name = name, .ifindex = device_index(name)};
  if (device.ifindex == 0) {
    return fail("interface " + name + " does not exist: check the name with `ip link`");
  }
  Fd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  if (!socket_fd || ioctl(socket_fd.get(), SIOCGIFHWADDR, &request) != 0) {
    return fail_errno("cannot read the type of interface " + name);
  }
  const uint16_t type = request.ifr_hwaddr.sa_family;
  const auto l3 = starts_with_ip(type);
  if (!l3) {
    return fail("interface " + name + " has link type " + std::to_string(type) +
                " (ARPHRD), neither Ethernet nor plain IP: leave it out of the configuration");
  }
  device.l3 = *l3;
  if (ioctl(socket_fd.get(), SIOCGIFMTU, &request) == 0) device.mtu = request.ifr_mtu;
  return device;
}

}  // namespace tfo
