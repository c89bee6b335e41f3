// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "loader/dataplane/fd.h"
#include "loader/keys/secret.h"
#include "loader/result.h"

namespace tfo {

/// A file that nobody else can have read or changed, open for reading.
struct PrivateFile {
  Fd fd;
  int64_t size = 0;      ///< bytes
  int64_t modified = 0;  ///< unix seconds

  /// Its first `most` bytes, or all there are. Wiped when it goes.
  Result<WipedString> read(size_t most) const;
};

/// Refused: a symbolic link, anything but a regular file, an owner other than root and ourselves,
/// any permission for group or others. Nothing if there is no such file. Errors do not name the
/// path: the caller does. `field` is the configuration's field that names it, `leaked` what to do
/// if others could have read it: "replace the keys (tfoctl key rotate)".
Result<std::optional<PrivateFile>> open_private_file(const std::string& path,
                                                     std::string_view field,
                                                     std::string_view leaked);

/// The same question of a file that is there already, in one sentence.
Result<> check_private(const struct stat& info, std::string_view field, std::string_view leaked);

/// Replaces a file as a whole: PATH.new of mode 0600 from its first byte, fsync, rename, fsync of
/// the directory, so that a crash or a full disk leaves the old one. Only one process may do this
/// to a path at a time.
Result<> replace_private_file(const std::string& path, std::string_view text);

/// The same for a file of tfod's own, whose directory is made (0700) if only its last component is
/// missing. Every error names the file.
Result<> write_private_file(const std::string& path, std::string_view text);

/// All of a file that write_private_file() wrote, or nothing if there is none. Refused: what
/// open_private_file() refuses, and more than `limit` bytes. Every error names the file. `leaked`
/// as above.
Result<std::optional<WipedString>> read_private_file(const std::string& path, size_t limit,
                                                     std::string_view leaked);

/// Fine if there is none.
Result<> remove_private_file(const std::string& path);

/// fsync of the directory that holds `path`.
Result<> sync_directory_of(const std::string& path);

/// Makes the directory that holds `path` (0700) if only its last component is missing.
Result<> make_directory_of(const std::string& path);

}  // namespace tfo
