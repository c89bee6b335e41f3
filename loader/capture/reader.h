// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loader/capture/capture.h"
#include "loader/result.h"

namespace tfo {

/// Reads pcap (microseconds and nanoseconds, either byte order) and pcapng captures of any length
/// in constant memory, from files and pipes. Written here because libpcap refuses a pcapng file
/// whose interfaces have different link types and says nothing of interfaces and directions.
class CaptureReader {
 public:
  /// Opens `path`; "-" is standard input. Reads as far as it takes to know the format, which waits
  /// for as long as a pipe is silent.
  static Result<CaptureReader> open(const std::string& path);
  /// The same on a descriptor, which the reader then owns. `name` stands in messages.
  static Result<CaptureReader> adopt(int fd, std::string name);

  CaptureReader(CaptureReader&&) noexcept;
  CaptureReader& operator=(CaptureReader&&) noexcept;
  ~CaptureReader();

  /// The next frame, or none at the end of the capture. A failure names the file and the byte
  /// where it stops making sense; it is final (further calls return it again), and everything
  /// returned before it is good.
  Result<std::optional<CapturedFrame>> next();

  /// All interfaces seen so far, those of earlier sections of the file included; at most 65,536. A
  /// pcap file has its one from the beginning, one of pcapng is there before its first frame.
  const std::vector<CaptureInterface>& interfaces() const;

  const char* format() const;                 // "pcap" or "pcapng"
  uint64_t bytes_read() const;                // so far, for progress
  std::optional<uint64_t> file_size() const;  // bytes to be read in all; none for a pipe

 private:
  class Impl;
  explicit CaptureReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tfo
