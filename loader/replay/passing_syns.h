// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "loader/replay/description.h"

namespace tfo {

/// SYNs that came in on an interface to the inside and were counted there. Where a capture shows a
/// router on both sides, each of them is seen again as it leaves. The last 65,536.
class PassingSyns {
 public:
  /// `whole`: the frame that it came in.
  void came_in(const Flow& flow, const Description& description, std::span<const uint8_t> whole);
  /// Is it one of them? Of each that came in, one leaves.
  bool leaves(const Flow& flow, const Description& description, std::span<const uint8_t> whole);

 private:
  static constexpr size_t kSlots = 65536;
  std::vector<uint64_t> slots_ = std::vector<uint64_t>(kSlots);
};

}  // namespace tfo
