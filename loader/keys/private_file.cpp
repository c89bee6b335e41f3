// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/private_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace tfo {
namespace {

constexpr mode_t kPrivateMode = 0600;
constexpr mode_t kDirectoryMode = 0700;

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

Result<> write_new(const std::string& path, std::string_view text) {
  // A leftover of a process that was killed here: nobody else writes it.
  ::unlink(path.c_str());
  const Fd file = open_fd(path, O_WRONLY | O_CREAT | O_EXCL, kPrivateMode);
  if (!file) {
    return fail_errno("cannot create " + path);
  }
  if (auto written = write_all(file.get(), text); !written) {
    return tl::unexpected(std::move(written.error()).in(path));
  }
  // The umask may have taken bits from the owner too.
  if (fchmod(file.get(), kPrivateMode) != 0 || fsync(file.get()) != 0) {
    return fail_errno("cannot make " + path + " durable");
  }
  return {};
}

}  // namespace

Result<WipedString> PrivateFile::read(size_t most) const {
  WipedString text(std::min(most, static_cast<size_t>(size)), '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + done, text.size() - done);
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

Result<> check_private(const struct stat& info, std::string_view field, std::string_view leaked) {
  if (!S_ISREG(info.st_mode)) {
    return fail(fmt::format("it is not a regular file; \"{}\" must name one", field));
  }
  if (info.st_uid != 0 && info.st_uid != geteuid()) {
    return fail(fmt::format(
        "it belongs to uid {}, who could change the keys; chown it to root or to uid {}",
        info.st_uid, geteuid()));
  }
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return fail(
        fmt::format("its mode is {:04o}, so that others can reach the keys; chmod it to 0600, and "
                    "{} if others could have read them",
                    info.st_mode & 07777, leaked));
  }
  return {};
}

Result<std::optional<PrivateFile>> open_private_file(const std::string& path,
                                                     std::string_view field,
                                                     std::string_view leaked) {
  // Not blocking: somebody may have put a pipe here.
  Fd fd = open_fd(path, O_RDONLY | O_NONBLOCK);
  if (!fd && errno == ENOENT) {
    return std::optional<PrivateFile>();
  }
  if (!fd && errno == ELOOP) {
    return fail("it is a symbolic link; name the file itself");
  }
  if (!fd) {
    return fail_errno("cannot open it");
  }
  struct stat info{};
  if (fstat(fd.get(), &info) != 0) {
    return fail_errno("cannot look at it");
  }
  if (auto safe = check_private(info, field, leaked); !safe) {
    return tl::unexpected(std::move(safe.error()));
  }
  return std::optional<PrivateFile>(
      PrivateFile{.fd = std::move(fd), .size = info.st_size, .modified = info.st_mtim.tv_sec});
}

Result<> replace_private_file(const std::string& path, std::string_view text) {
  const std::string temporary = path + ".new";
  if (auto written = write_new(temporary, text); !written) {
    ::unlink(temporary.c_str());
    return written;
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return fail_errno("cannot put " + temporary + " in its place", error);
  }
  return sync_directory_of(path);
}

Result<> write_private_file(const std::string& path, std::string_view text) {
  auto written = make_directory_of(path);
  if (written) {
    written = replace_private_file(path, text);
  }
  if (!written) {
    return tl::unexpected(std::move(written.error()).in(path));
  }
  return {};
}

Result<std::optional<WipedString>> read_private_file(const std::string& path, size_t limit,
                                                     std::string_view leaked) {
  auto opened = open_private_file(path, "state_directory", leaked);
  if (!opened) {
    return tl::unexpected(std::move(opened.error()).in(path));
  }
  const std::optional<PrivateFile>& file = *opened;
  if (!file) {
    return std::optional<WipedString>();
  }
  if (static_cast<size_t>(file->size) > limit) {
    return fail(path + ": it is far too big");
  }
  auto text = file->read(limit);
  if (!text) {
    return tl::unexpected(std::move(text.error()).in(path));
  }
  return std::optional<WipedString>(std::move(*text));
}

Result<> remove_private_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fail_errno(path + ": cannot remove it");
  }
  return {};
}

Result<> sync_directory_of(const std::string& path) {
  const std::string directory = directory_of(path);
  const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) != 0) {
    return fail_errno("cannot make directory " + directory + " durable");
  }
  return {};
}

Result<> make_directory_of(const std::string& path) {
  const std::string directory = directory_of(path);
  if (::mkdir(directory.c_str(), kDirectoryMode) == 0 || errno == EEXIST) {
    return {};
  }
  return fail_errno(fmt::format("cannot create directory {}; create it with mode 0700", directory));
}

}  // namespace tfo
