// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "loader/result.h"
#include "tests/support/segment.h"

namespace tfo::test {

/// Many different segments through a loaded program in one call of the kernel, by the measuring
/// programs of `tfoctl bench`. One thread each.
class Burst {
 public:
  enum class Hook { kXdp, kTcEgress };

  /// `program`: XDP or tc egress, lives as long as this. `most`: segments, a power of two.
  static Result<Burst> open(Hook hook, int program, uint32_t most);
  Burst(Burst&&) noexcept;
  Burst& operator=(Burst&&) noexcept;
  ~Burst();

  /// Segment `index`; all have as many bytes.
  void put(uint32_t index, const Segment& segment);

  /// The next `count` of those that were put, after the last one the first again. False if a run
  /// failed.
  bool run(uint32_t count);

  /// These, from the first.
  bool run(const std::vector<Segment>& segments);

 private:
  struct State;
  explicit Burst(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tfo::test
