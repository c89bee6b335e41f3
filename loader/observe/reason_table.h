// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string_view>
#include <vector>

#include "bpf/tfo_abi.h"

namespace tfo {

/// One counted cell of struct tfo_counters: [reason][option][data].
struct Cell {
  unsigned reason;
  unsigned option;
  unsigned data;
};

/// Label and sentence of a reason (TFO_REASONS in bpf/tfo_abi.h).
std::string_view reason_label(unsigned reason);
std::string_view reason_sentence(unsigned reason);
/// "none", "34", "254".
std::string_view option_label(unsigned option);
/// "pass", "renew", "demote", "drop".
std::string_view action_label(unsigned action);

/// "observe", "canary" or "enforce": as a configuration says it.
constexpr const char* mode_label(unsigned mode) {
  constexpr const char* kModes[] = {"observe", "canary", "enforce"};  // by tfo_vip_mode
  return kModes[mode];
}

/// The cells that a VIP's packets can count in, in the order of the reasons.
const std::vector<Cell>& vip_cells();
/// The same for packets that belong to no VIP.
const std::vector<Cell>& node_cells();

}  // namespace tfo
