// SPDX-License-Identifier: BSD-2-Clause
#include "loader/server/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "loader/dataplane/fd.h"

namespace tfo {
namespace {

std::string directory_of(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

Result<> write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno("cannot write it");
    text.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Result<> write_new(const std::string& path, std::string_view text) {
  ::unlink(path.c_str());  // a leftover of a process that was killed here
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return fail_errno("cannot create " + path);
  if (auto written = write_all(file.get(), text); !written) return written;
  if (fsync(file.get()) != 0) return fail_errno("cannot make it durable");
  return {};
}

Result<> sync_directory(const std::string& path) {
  const Fd fd(::open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) != 0) return fail_errno("cannot make its directory durable");
  return {};
}

Result<> check(const struct stat& info, size_t limit) {
  if (!S_ISREG(info.st_mode)) return fail("it is not a regular file");
  if (info.st_uid != 0 && info.st_uid != geteuid()) return fail("it belongs to somebody else");
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return fail("others can reach it, and it holds keys; chmod it to 0600");
  }
  if (static_cast<size_t>(info.st_size) > limit) return fail("it is far too big");
  return {};
}

Result<WipedString> read_all(int fd, size_t size) {
  WipedString text(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(fd, text.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read it");
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  text.resize(done);
  return text;
}

}  // namespace

Result<> write_private_file(const std::string& path, std::string_view text) {
  const std::string directory = directory_of(path);
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail_errno(path + ": cannot make its directory");
  }
  const std::string temporary = path + ".new";
  auto done = write_new(temporary, text);
  if (done && ::rename(temporary.c_str(), path.c_str()) != 0) {
    done = fail_errno("cannot put it in its place");
  }
  if (!done) ::unlink(temporary.c_str());
  if (done) done = sync_directory(path);
  if (!done) return tl::unexpected(std::move(done.error()).in(path));
  return {};
}

Result<std::optional<WipedString>> read_private_file(const std::string& path, size_t limit) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  if (!file && errno == ENOENT) return std::optional<WipedString>();
  if (!file) return fail_errno(path + ": cannot open it");
  struct stat info{};
  if (fstat(file.get(), &info) != 0) return fail_errno(path + ": cannot look at it");
  if (auto safe = check(info, limit); !safe) {
    return tl::unexpected(std::move(safe.error()).in(path));
  }
  auto text = read_all(file.get(), static_cast<size_t>(info.st_size));
  if (!text) return tl::unexpected(std::move(text.error()).in(path));
  return std::optional<WipedString>(std::move(*text));
}

Result<> remove_private_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return fail_errno(path + ": cannot remove it");
  return {};
}

}  // namespace tfo
