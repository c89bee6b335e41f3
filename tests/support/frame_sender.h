// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "loader/dataplane/fd.h"
#include "tests/support/bytes.h"

namespace tfo::test {

/// Puts prepared frames on an interface of this process's network namespace (AF_PACKET, sendmmsg).
class FrameSender {
 public:
  /// Aborts if there is no such interface: test input is always right.
  explicit FrameSender(const std::string& interface);

  /// Sends `count` frames, `frames` in turn. Returns how many the interface was given.
  uint64_t send(const std::vector<Bytes>& frames, uint64_t count);

 private:
  Fd socket_;
  size_t next_ = 0;
};

/// Frames that an interface says it dropped, in either direction, and frames it took to send.
struct InterfaceDrops {
  uint64_t sent = 0;
  uint64_t dropped = 0;
};
InterfaceDrops interface_drops(const std::string& interface);

}  // namespace tfo::test
