// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bpf/tfo_abi.h"

namespace tfo::test {

/// What is said of one packet, by the program, by the core on the host, or by the reference.
struct Verdict {
  tfo_reason reason = TFO_INTERNAL_ERROR;
  uint32_t option = TFO_OPTION_NONE;  ///< enum tfo_option_kind
  bool data = false;
  uint32_t slot = TFO_NODE_SLOT;
  bool operator==(const Verdict&) const = default;
};

/// A verdict, and what becomes of the packet.
struct Treatment {
  Verdict verdict;
  uint32_t action = TFO_PASS;  ///< enum tfo_action, what is done
  uint32_t would = TFO_PASS;   ///< enum tfo_action, what enforcing would do
  std::vector<uint8_t> left;   ///< the frame that goes on
};

/// "cookie_current option=34 data=1 slot=2"
std::string to_string(const Verdict& verdict);
/// The same without the labels that mean nothing: only a SYN to a VIP has any.
Verdict comparable(Verdict verdict);

}  // namespace tfo::test
