// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/device.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>

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

/// True too for a device that does not say what it is, such as lo.
bool delivers_partial(int socket, ifreq request) {
  ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  request.ifr_data = reinterpret_cast<char*>(&info);
  if (ioctl(socket, SIOCETHTOOL, &request) != 0) return true;
  info.bus_info[sizeof(info.bus_info) - 1] = '\0';
  info.driver[sizeof(info.driver) - 1] = '\0';
  return may_be_partial(info.driver, info.bus_info);
}

}  // namespace

/// Devices without hardware name no bus (ethtool_get_drvinfo() in net/ethtool/ioctl.c), or one of
/// these words instead; of those with a bus, paravirtual ones take packets from their host.
bool may_be_partial(std::string_view driver, std::string_view bus) {
  constexpr std::array<std::string_view, 4> kNoBus = {"", "N/A", "tun", "tap"};
  constexpr std::array<std::string_view, 2> kParavirtual = {"virtio_net", "vif"};
  return std::ranges::find(kNoBus, bus) != kNoBus.end() ||
         std::ranges::find(kParavirtual, driver) != kParavirtual.end();
}

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
  device.partial = delivers_partial(socket_fd.get(), request);
  return device;
}

}  // namespace tfo
