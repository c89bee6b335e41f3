// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string_view>

#include "bpf/tfo_abi.h"
#include "loader/address.h"

namespace tfo {

/// The network of this level (below TFO_LEVEL_VIP) that the address is in. IPv4 has no site: its
/// network stands for it, as in bpf/load.h.
ClientNetwork network_at(const ConfigAddress& address, tfo_guard_level level);

/// "address", "network", "site" or "vip".
std::string_view level_label(unsigned level);

}  // namespace tfo
