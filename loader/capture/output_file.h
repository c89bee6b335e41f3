// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "loader/dataplane/fd.h"
#include "loader/result.h"

namespace tfo {

/// A file that appears under its name only when it is whole: written beside it under another name,
/// renamed by commit(), removed otherwise. Buffered. The modes are those of the file that it
/// replaces, or what the umask leaves of 0666.
class OutputFile {
 public:
  /// Fails if `path` is something else than a regular file or nothing. A symbolic link stays, the
  /// file that it points to is replaced.
  static Result<OutputFile> create(const std::string& path);

  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  Result<> append(const void* bytes, size_t count);
  /// Flushes, syncs, renames.
  Result<> commit();

  /// The other name; empty after commit().
  const std::string& temporary() const { return temporary_; }

 private:
  OutputFile(Fd fd, std::string path, std::string temporary);
  Result<> flush();
  Result<> store(const uint8_t* bytes, size_t count);

  Fd fd_;
  std::string path_;
  std::string temporary_;  // empty: nothing to remove
  std::vector<uint8_t> buffer_;
  size_t used_ = 0;
  bool broken_ = false;  // a write failed: the file has a hole
};

}  // namespace tfo
