// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "loader/replay/explanation.h"
#include "tests/support/cases.h"

namespace tfo::test {

/// The keys of the VIP that owns a counter slot, as the loader has them.
KeyRing loader_ring(const World& world, uint32_t slot);

/// The explanation of a frame whose program said `verdict`, and the bytes that it refers to.
class Explained {
 public:
  Explained(const Bytes& frame, const Verdict& verdict, const World& world);
  /// The program changed the frame to `left`.
  Explained(const Bytes& frame, const Verdict& verdict, const World& world, tfo_action action,
            const Bytes& left);
  Explained(const Explained&) = delete;
  Explained& operator=(const Explained&) = delete;

  const Explanation& operator*() const { return result_; }
  const Explanation* operator->() const { return &result_; }

 private:
  Bytes frame_, left_;
  Explanation result_;
};

}  // namespace tfo::test
