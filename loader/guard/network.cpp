// SPDX-License-Identifier: BSD-2-Clause
#include "loader/guard/network.h"

namespace tfo {

ClientNetwork network_at(const ConfigAddress& address, tfo_guard_level level) {
  const bool v4 = ClientNetwork{address, 128}.is_v4();
  unsigned length = 128;
  if (level != TFO_LEVEL_ADDRESS) length = v4 ? 96 + 24 : 64;
  if (level == TFO_LEVEL_SITE && !v4) length = 48;
  return network_of_length(address, length);
}

std::string_view level_label(unsigned level) {
  constexpr std::string_view kLabels[] = {"address", "network", "site", "vip"};
  return level < TFO_LEVELS ? kLabels[level] : "?";
}

}  // namespace tfo
