// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "tests/support/capture_builder.h"
#include "tests/support/corpus.h"

namespace tfo::test {

/// What random captures are like.
struct SampleShape {
  bool pcapng = true;
  std::endian order = std::endian::little;
  bool mixed_orders = false;  ///< every other section of a pcapng file is in the other order
  /// Of the interfaces; empty: all that LinkShaper knows, and one that it does not.
  std::vector<uint32_t> link_types{};
  bool one_snap_length = false;
  size_t max_sections = 3;
  size_t frames = 12;
  /// Stamps finer than nanoseconds, and at the ends of their range, which libpcap and Wireshark
  /// compute wrongly.
  bool odd_times = true;
};

/// A capture of packets of the corpus. Equal seeds give equal frames in either byte order.
BuiltCapture sample_capture(uint64_t seed, const SampleShape& shape);

/// A packet of the corpus under the header of that link type.
Bytes link_frame(uint32_t link_type, const Sample& sample, Random& random);

}  // namespace tfo::test
