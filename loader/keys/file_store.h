// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "loader/keys/keyring_file.h"
#include "loader/keys/rotation.h"
#include "loader/keys/store.h"

namespace tfo {

/// Keys of one tfod in a file, rotated locally. The file is locked as long as the store lives, so
/// that no two processes rotate it; every change is durable in it before it is handed out.
class FileStore : public KeyStore {
 public:
  FileStore(std::string path, Rotation rotation);

  std::string kind() const override { return "file"; }
  Result<> open(const Moment& now, const std::vector<Key>& host) override;
  void abandon() override;
  const KeyRing& ring() const override { return state_.ring; }
  Result<bool> step(const Moment& now, const Confirmation& confirmed) override;
  Result<> rotate(const Moment& now) override;
  Result<> import(const Moment& now, const std::vector<Key>& keys) override;
  std::optional<int64_t> next_wakeup() const override;
  std::optional<int64_t> next_rotation() const override;

 private:
  Result<> commit(RotationState next, const Moment& now);

  KeyringFile file_;
  Rotation rotation_;
  RotationState state_;
  bool made_ = false;     ///< the file was made by open()
  bool unsaved_ = false;  ///< maintenance that is not in the file yet
};

}  // namespace tfo
