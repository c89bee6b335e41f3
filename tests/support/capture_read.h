// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "loader/capture/reader.h"
#include "tests/support/capture_builder.h"

namespace tfo::test {

/// Everything that a CaptureReader says about a file.
struct ReadCapture {
  std::vector<OwnedFrame> frames;
  std::vector<CaptureInterface> interfaces;
  std::string format;  ///< empty: it could not be opened
  std::string error;   ///< empty: it came to a clean end
};

/// A file in memory, to be read from its start.
int memory_file(View bytes);

/// Reads to the end or the error. Fails the test where the reader breaks a promise: more frames
/// than the bytes can hold, an interface that it does not list, a wire length below what was
/// captured, numbers out of order, an error that does not stay.
ReadCapture read_to_end(CaptureReader reader, size_t file_size);
ReadCapture read_capture(View file);
/// Why this file cannot be opened or read to its end; empty if it can.
std::string capture_error(View file);

/// A directory under TMPDIR, removed at the end.
class CaptureDirectory {
 public:
  CaptureDirectory();
  CaptureDirectory(const CaptureDirectory&) = delete;
  CaptureDirectory& operator=(const CaptureDirectory&) = delete;
  ~CaptureDirectory();

  const std::filesystem::path& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ / name; }
  /// Writes a file and returns its path.
  std::string write(const std::string& name, View bytes) const;
  std::vector<std::string> names() const;  ///< of what is in it, sorted

 private:
  std::filesystem::path path_;
};

}  // namespace tfo::test
