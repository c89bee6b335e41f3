// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/keyring_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "loader/dataplane/fd.h"

namespace tfo {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;
/// Sixteen generations take about 4 kB.
constexpr off_t kMaxSize = 64 * 1024;

std::string directory_of(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

Fd open_fd(const std::string& path, int flags, mode_t mode = 0) {
  return Fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode));
}

Result<> write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      return fail_errno("cannot write");
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Result<> check_owner_and_mode(const struct stat& info) {
  if (!S_ISREG(info.st_mode)) {
    return fail("it is not a regular file; \"file\" must name one");
  }
  if (info.st_uid != 0 && info.st_uid != geteuid()) {
    return fail(fmt::format(
        "it belongs to uid {}, who could change the keys; chown it to root or to uid {}",
        info.st_uid, geteuid()));
  }
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return fail(
        fmt::format("its mode is {:04o}, so that others can reach the keys; chmod it to 0600, and "
                    "replace the keys (tfoctl key rotate) if others could have read them",
                    info.st_mode & 07777));
  }
  return {};
}

Result<WipedString> read_all(int fd, off_t size) {
  WipedString text(static_cast<size_t>(size), '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t got = ::read(fd, text.data() + done, text.size() - done);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return fail_errno("cannot read it");
    }
    if (got == 0) {
      break;
    }
    done += static_cast<size_t>(got);
  }
  text.resize(done);
  return text;
}

Result<RotationState> read_keyring(int fd) {
  struct stat info{};
  if (fstat(fd, &info) != 0) {
    return fail_errno("cannot look at it");
  }
  if (auto safe = check_owner_and_mode(info); !safe) {
    return tl::unexpected(std::move(safe.error()));
  }
  const std::string remedy =
      "; restore it from a backup, or move it away to begin with new keys (cookies made with the "
      "old ones are then refused once)";
  if (info.st_size == 0) {
    return fail("it is empty" + remedy);
  }
  if (info.st_size > kMaxSize) {
    return fail("it is far too big to be a keyring" + remedy);
  }
  auto text = read_all(fd, info.st_size);
  if (!text) {
    return tl::unexpected(std::move(text.error()));
  }
  auto state = decode_keyring(*text);
  if (!state) {
    return fail(state.error().message + remedy);
  }
  return state;
}

Result<> write_new(const std::string& path, std::string_view text) {
  // A leftover of a process that was killed here: nobody else has the lock.
  ::unlink(path.c_str());
  const Fd file = open_fd(path, O_WRONLY | O_CREAT | O_EXCL, kFileMode);
  if (!file) {
    return fail_errno("cannot create " + path);
  }
  if (auto written = write_all(file.get(), text); !written) {
    return tl::unexpected(std::move(written.error()).in(path));
  }
  // The umask may have taken bits from the owner too.
  if (fchmod(file.get(), kFileMode) != 0 || fsync(file.get()) != 0) {
    return fail_errno("cannot make " + path + " durable");
  }
  return {};
}

Result<> sync_directory(const std::string& directory) {
  const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) != 0) {
    return fail_errno("cannot make directory " + directory + " durable");
  }
  return {};
}

Result<> make_directory(const std::string& directory) {
  if (::mkdir(directory.c_str(), kDirectoryMode) == 0 || errno == EEXIST) {
    return {};
  }
  return fail_errno(fmt::format("cannot create directory {}; create it with mode 0700", directory));
}

}  // namespace

KeyringFile::~KeyringFile() {
  if (lock_fd_ >= 0) {
    ::close(lock_fd_);
  }
}

Result<> KeyringFile::lock() {
  if (auto made = make_directory(directory_of(path_)); !made) {
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
  // Not blocking: somebody may have put a pipe here.
  const Fd file = open_fd(path_, O_RDONLY | O_NONBLOCK);
  if (!file && errno == ENOENT) {
    return std::optional<RotationState>();
  }
  if (!file && errno == ELOOP) {
    return fail("keyring " + path_ + ": it is a symbolic link; name the file itself");
  }
  if (!file) {
    return fail_errno("keyring " + path_ + ": cannot open it");
  }
  auto state = read_keyring(file.get());
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
  const std::string temporary = path_ + ".new";
  if (auto written = write_new(temporary, encode_keyring(state)); !written) {
    ::unlink(temporary.c_str());
    return tl::unexpected(std::move(written.error()).in(context));
  }
  if (::rename(temporary.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return fail_errno(context + ": cannot put " + temporary + " in its place", error);
  }
  if (auto synced = sync_directory(directory_of(path_)); !synced) {
    return tl::unexpected(std::move(synced.error()).in(context));
  }
  return {};
}

void KeyringFile::remove() const {
  if (lock_fd_ < 0) return;
  ::unlink(path_.c_str());
  // Best effort: after a crash it is a keyring that nobody has used.
  [[maybe_unused]] const auto synced = sync_directory(directory_of(path_));
}

}  // namespace tfo
