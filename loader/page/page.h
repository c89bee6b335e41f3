// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tfo {

/// A file of the status page as it was built into this binary.
struct PageFile {
  std::string_view path;  // "/", "/page/main.js"
  const char* type;       // the Content-Type
  std::string_view gzip;  // its bytes, compressed
};

/// All of them, as long as the process lives.
std::span<const PageFile> page_files();

/// The bytes of a file, for clients that take nothing compressed.
std::string unpacked(const PageFile& file);

}  // namespace tfo
