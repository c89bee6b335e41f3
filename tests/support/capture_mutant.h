// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <vector>

#include "tests/support/capture_builder.h"
#include "tests/support/corpus.h"

namespace tfo::test {

struct CaptureMutant {
  Bytes file;
  std::string what;   ///< was done to the original, for failure logs
  size_t intact = 0;  ///< bytes at its start that are those of the original
  const BuiltCapture* original = nullptr;

  /// Frames of the original that stand wholly in the intact part.
  std::vector<OwnedFrame> intact_frames() const;
};

/// An endless stream of damaged capture files; equal seeds, equal streams. Each has one to three
/// of: cut off, wrong magic, absurd snap, block, frame and option lengths, zero-length frames,
/// flipped bits, integers or whole headers in the other byte order, records twice, removed or
/// moved, bytes inserted or removed, holes of zeros, another capture behind.
class CaptureMutants {
 public:
  explicit CaptureMutants(uint64_t seed, size_t originals = 40);
  /// Valid as long as this object, through `original`.
  CaptureMutant next();

 private:
  Random random_;
  std::vector<BuiltCapture> originals_;
};

}  // namespace tfo::test
