// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/keyring_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "loader/keys/private_file.h"

namespace tfo {
namespace {

constexpr mode_t kFileMode = 0600;
/// Sixteen generations take about 4 kB.
constexpr int64_t kMaxKeyring = int64_t{64} * 1024;

Result<RotationState> read_keyring(const PrivateFile& file) {
  const std::string remedy =
      "; restore it from a backup, or move it away to begin with new keys (cookies made with the "
      "old ones are then refused once)";
  if (file.size == 0) {
    return fail("it is empty" + remedy);
  }
  if (file.size > kMaxKeyring) {
    return fail("it is far too big to be a keyring" + remedy);
  }
  auto text = file.read(kMaxKeyring);
  if (!text) {
    return tl::unexpected(std::move(text.error()));
  }
  auto state = decode_keyring(*text);
  if (!state) {
    return fail(state.error().message + remedy);
  }
  return state;
}

}  // namespace

KeyringFile::~KeyringFile() {
  if (lock_fd_ >= 0) {
    ::close(lock_fd_);
  }
}

Result<> KeyringFile::lock() {
  if (auto made = make_directory_of(path_); !made) {
    return tl::unexpected(std::move(made.error()).in("keyring " + path_));
  }
  const std::string lock_path = path_ + ".lock";
  const int fd = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kFileMode);
  if (fd < 0) {
    return fail_errno("keyring " + path_ + ": cannot open its lock " + lock_path);
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(fd);
    if (error == EWOULDBLOCK) {
      return fail("keyring " + path_ +
                  ": another process is using it; stop the other tfod, or give this pool a "
                  "\"file\" of its own");
    }
    return fail_errno("keyring " + path_ + ": cannot lock " + lock_path, error);
  }
  lock_fd_ = fd;
  return {};
}

Result<std::optional<RotationState>> KeyringFile::load() const {
  auto opened = open_private_file(path_, "file", "replace the keys (tfoctl key rotate)");
  if (!opened) {
    return tl::unexpected(std::move(opened.error()).in("keyring " + path_));
  }
  const std::optional<PrivateFile>& file = *opened;
  if (!file) {
    return std::optional<RotationState>();
  }
  auto state = read_keyring(*file);
  if (!state) {
    return tl::unexpected(std::move(state.error()).in("keyring " + path_));
  }
  return std::optional<RotationState>(std::move(*state));
}

Result<> KeyringFile::save(const RotationState& state) const {
  const std::string context = "keyring " + path_;
  if (lock_fd_ < 0) {
    return fail(context + ": not locked");
  }
  if (auto saved = replace_private_file(path_, encode_keyring(state)); !saved) {
    return tl::unexpected(std::move(saved.error()).in(context));
  }
  return {};
}

void KeyringFile::remove() const {
  if (lock_fd_ < 0) return;
  ::unlink(path_.c_str());
  // Best effort: after a crash it is a keyring that nobody has used.
  [[maybe_unused]] const auto synced = sync_directory_of(path_);
}

}  // namespace tfo
