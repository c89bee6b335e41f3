// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>

#include "loader/dataplane/fd.h"

namespace tfo::test {

/// IPv4 frames of a kind that leave by an interface of this thread's network namespace, counted by
/// the kernel from now on: what others say of them is held against it. Nothing is read.
class WireCount {
 public:
  enum class Kind {
    kSynAck,
    kSynAckWithCookie,  // Fast Open is the option after the MSS, as where the SYN had no others
    kData,              // of a segment that is no SYN and has no TCP options
  };

  /// Aborts if there is no such interface.
  WireCount(const std::string& interface, Kind kind);

  uint64_t total();

 private:
  Fd socket_;
  uint64_t total_ = 0;
};

}  // namespace tfo::test
