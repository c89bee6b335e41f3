// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "loader/capture/capture.h"
#include "loader/result.h"

namespace tfo {

/// The most bytes of one frame, as in libpcap and Wireshark (MAXIMUM_SNAPLEN,
/// WTAP_MAX_PACKET_SIZE_STANDARD); a longer one is a damaged length.
inline constexpr uint32_t kMaxFrame = 262'144;

/// One file format.
class RecordReader {
 public:
  RecordReader() = default;
  RecordReader(const RecordReader&) = delete;
  RecordReader& operator=(const RecordReader&) = delete;
  virtual ~RecordReader() = default;

  /// Reads what stands before the first frame or interface.
  virtual Result<> begin() = 0;
  /// As CaptureReader::next(); not called again once it has failed or come to the end.
  virtual Result<std::optional<CapturedFrame>> next() = 0;
  virtual const char* format() const = 0;
  const std::vector<CaptureInterface>& interfaces() const { return interfaces_; }

 protected:
  std::vector<CaptureInterface> interfaces_;
};

}  // namespace tfo
