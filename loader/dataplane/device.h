// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "loader/result.h"

namespace tfo {

/// What the data plane wants to know of a network interface of its own namespace.
struct Device {
  std::string name;
  unsigned ifindex = 0;
  bool l3 = false;  // frames start with the IP header: tun, raw IP, IP tunnels
  int mtu = 0;
  /// Packets may come with a checksum that nobody has computed yet (CHECKSUM_PARTIAL), since their
  /// sender is on this machine: veth, virtio, tap and other devices without hardware.
  bool partial = false;
};

/// Is Device::partial true of a driver and its bus, as `ethtool -i` shows them?
bool may_be_partial(std::string_view driver, std::string_view bus);

/// 0 if there is none of that name.
unsigned device_index(const std::string& name);

/// Fails if there is none, or if its frames start with a header that we cannot read.
Result<Device> find_device(const std::string& name);

}  // namespace tfo
