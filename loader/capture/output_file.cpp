// SPDX-License-Identifier: BSD-2-Clause
#include "loader/capture/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

namespace tfo {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBufferSize = 256 * 1024;
constexpr mode_t kNewMode = 0666;
constexpr int kMaxAttempts = 100;

std::string directory_of(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

Result<std::string> resolve(const std::string& path) {
  std::error_code error;
  if (!fs::is_symlink(fs::symlink_status(path, error))) return path;
  const fs::path target = fs::canonical(path, error);
  if (error) {
    return fail("cannot write " + path + ": it is a symbolic link that leads nowhere; remove it");
  }
  return target.string();
}

/// Of the file that stands there, if one does.
Result<std::optional<mode_t>> mode_of(const std::string& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) {
    // Whatever else is wrong, creating the temporary file says it better.
    return std::optional<mode_t>();
  }
  if (S_ISDIR(info.st_mode)) {
    return fail("cannot write " + path + ": it is a directory; name a file in it");
  }
  if (!S_ISREG(info.st_mode)) {
    return fail("cannot write " + path + ": it is not a regular file; name one, or a new name");
  }
  return std::optional<mode_t>(info.st_mode & 07777);
}

Fd create_beside(const std::string& path, std::string& temporary) {
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    temporary = fmt::format("{}.{}.{}.part", path, getpid(), attempt);
    Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kNewMode));
    if (fd || errno != EEXIST) return fd;
  }
  return {};
}

tl::unexpected<Error> cannot_create(const std::string& path, int error) {
  const std::string directory = directory_of(path);
  if (error == ENOENT) {
    return fail("cannot write " + path + ": there is no directory " + directory + "; create it");
  }
  return fail_errno("cannot write " + path + ": cannot create a file in " + directory, error);
}

}  // namespace

Result<OutputFile> OutputFile::create(const std::string& path) {
  if (path.empty()) return fail("cannot write a file without a name");
  auto target = resolve(path);
  if (!target) return tl::unexpected(std::move(target.error()));
  auto mode = mode_of(*target);
  if (!mode) return tl::unexpected(std::move(mode.error()));
  std::string temporary;
  Fd fd = create_beside(*target, temporary);
  if (!fd) return cannot_create(*target, errno);
  OutputFile file(std::move(fd), std::move(*target), std::move(temporary));
  if (const auto& kept = *mode; kept && fchmod(file.fd_.get(), *kept) != 0) {
    return fail_errno("cannot write " + path + ": cannot keep its mode");
  }
  return file;
}

OutputFile::OutputFile(Fd fd, std::string path, std::string temporary)
    : fd_(std::move(fd)),
      path_(std::move(path)),
      temporary_(std::move(temporary)),
      buffer_(kBufferSize) {}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : fd_(std::move(other.fd_)),
      path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      buffer_(std::move(other.buffer_)),
      used_(other.used_),
      broken_(other.broken_) {}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<> OutputFile::append(const void* bytes, size_t count) {
  if (count > buffer_.size() - used_) {
    if (auto flushed = flush(); !flushed) return flushed;
  }
  const auto* from = static_cast<const uint8_t*>(bytes);
  if (count > buffer_.size()) return store(from, count);
  std::copy_n(from, count, buffer_.data() + used_);
  used_ += count;
  return {};
}

Result<> OutputFile::flush() {
  const size_t count = std::exchange(used_, 0);
  return store(buffer_.data(), count);
}

Result<> OutputFile::store(const uint8_t* bytes, size_t count) {
  if (broken_) return fail("cannot write " + path_ + ": an earlier part of it is missing");
  while (count > 0) {
    const ssize_t written = ::write(fd_.get(), bytes, count);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      broken_ = true;
      return fail_errno("cannot write " + path_);
    }
    bytes += written;
    count -= static_cast<size_t>(written);
  }
  return {};
}

Result<> OutputFile::commit() {
  if (auto flushed = flush(); !flushed) return flushed;
  if (fsync(fd_.get()) != 0) return fail_errno("cannot write " + path_ + " to its disk");
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return fail_errno("cannot put " + temporary_ + " in the place of " + path_);
  }
  temporary_.clear();
  // The file is whole; a directory that cannot be synced (some network file systems) costs at most
  // its new name after a power failure.
  const Fd directory(::open(directory_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory) static_cast<void>(fsync(directory.get()));
  return {};
}

}  // namespace tfo
