// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <map>
#include <memory>
#include <tuple>

#include "tests/support/reference.h"
#include "tests/support/xdp_load.h"

namespace tfo::test {

/// Loads the program for this world and fills its maps.
Result<XdpUnderTest> load_world(const World& world);

/// The same world behind interfaces of every kind: one load for each (L3 or not, decap, unfinished
/// checksums).
class XdpWorlds {
 public:
  explicit XdpWorlds(World world) : world_(std::move(world)) {}
  /// Loaded on first use.
  Result<XdpUnderTest*> with(bool l3, uint8_t decap, bool partial = false);

 private:
  World world_;
  std::map<std::tuple<bool, uint8_t, bool>, XdpUnderTest> loads_;
};

}  // namespace tfo::test
