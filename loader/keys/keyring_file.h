// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>

#include "loader/keys/rotation.h"
#include "loader/keys/secret.h"
#include "loader/result.h"

namespace tfo {

/// The keyring as JSON, and back. Every key stands beside its fingerprint, so that a flipped digit
/// is noticed. An error says what is wrong and never repeats what it read.
WipedString encode_keyring(const RotationState& state);
Result<RotationState> decode_keyring(std::string_view text);

/// A keyring file: mode 0600 from its first byte, replaced as a whole (temporary file, fsync,
/// rename, fsync of the directory) so that a crash or a full disk leaves the old one, never
/// overwritten unless it was read or did not exist.
class KeyringFile {
 public:
  explicit KeyringFile(std::string path) : path_(std::move(path)) {}
  KeyringFile(const KeyringFile&) = delete;
  KeyringFile& operator=(const KeyringFile&) = delete;
  ~KeyringFile();

  const std::string& path() const { return path_; }

  /// Takes `PATH.lock` for the life of this object (flock; freed by the kernel however the process
  /// ends) and makes the directory (0700) if only its last component is missing.
  Result<> lock();

  /// Nothing if there is no such file. Refused: not a regular file, any permission for group or
  /// others, an owner other than root and ourselves, empty, truncated or not a keyring.
  Result<std::optional<RotationState>> load() const;

  /// Needs the lock.
  Result<> save(const RotationState& state) const;

  /// Needs the lock, whose file stays: another process may be waiting with it open.
  void remove() const;

 private:
  std::string path_;
  int lock_fd_ = -1;
};

}  // namespace tfo
