// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <memory>

#include "tests/support/reference.h"
#include "tests/support/xdp_load.h"

namespace tfo::test {

/// Loads the program for this world and fills its maps.
Result<XdpUnderTest> load_world(const World& world);

/// The same world behind interfaces of every kind: one load for each (L3 or not, decap).
class XdpWorlds {
 public:
  explicit XdpWorlds(World world) : world_(std::move(world)) {}
  /// Loaded on first use.
  Result<XdpUnderTest*> with(bool l3, uint8_t decap);

 private:
  World world_;
  std::map<std::pair<bool, uint8_t>, XdpUnderTest> loads_;
};

}  // namespace tfo::test
