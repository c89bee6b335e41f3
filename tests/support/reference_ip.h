// SPDX-License-Identifier: BSD-2-Clause
// The reference's way from a frame to its TCP segment.
#pragma once

#include <tl/expected.hpp>

#include "tests/support/reference.h"

namespace tfo::test {

/// A TCP segment and the addresses of the innermost IP header.
struct TcpSegment {
  View bytes;  ///< ends where the IP length says
  View source;
  View destination;
  bool more = false;  ///< a first fragment, more of it follows
};

/// The segment, or why there is none (TFO_NOT_TCP, TFO_FRAGMENT).
using Found = tl::expected<TcpSegment, tfo_reason>;

Found find_segment(View frame, const World& world);

}  // namespace tfo::test
