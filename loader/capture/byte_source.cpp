// SPDX-License-Identifier: BSD-2-Clause
#include "loader/capture/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tfo {
namespace {

/// Small enough to stay in the second-level cache between read() and the parser.
constexpr size_t kFirstSize = 256 * 1024;

}  // namespace

Result<ByteSource> ByteSource::adopt(Fd fd, std::string name) {
  struct stat info{};
  if (fstat(fd.get(), &info) != 0) return fail_errno(name + ": cannot look at it");
  if (S_ISDIR(info.st_mode)) return fail(name + ": is a directory; name a capture file in it");
  std::optional<uint64_t> size;
  const off_t at = lseek(fd.get(), 0, SEEK_CUR);
  // Files of /proc say 0.
  if (S_ISREG(info.st_mode) && info.st_size > 0 && at >= 0) {
    size = static_cast<uint64_t>(std::max<off_t>(info.st_size - at, 0));
    // Advice only: nothing is lost without it.
    static_cast<void>(posix_fadvise(fd.get(), at, 0, POSIX_FADV_SEQUENTIAL));
  }
  return ByteSource(std::move(fd), std::move(name), size);
}

ByteSource::ByteSource(Fd fd, std::string name, std::optional<uint64_t> size)
    : fd_(std::move(fd)), name_(std::move(name)), size_(size), buffer_(kFirstSize) {}

bool ByteSource::refill(size_t count) {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    base_ += begin_;
    end_ -= begin_;
    begin_ = 0;
  }
  while (end_ < count) {
    if (end_ == buffer_.size()) buffer_.resize(std::min(2 * buffer_.size(), count));
    if (!read_more()) return false;
  }
  return true;
}

bool ByteSource::skip(uint64_t count) {
  while (count > available()) {
    count -= available();
    base_ += end_;
    begin_ = 0;
    end_ = 0;
    if (!read_more()) return false;
  }
  consume(count);
  return true;
}

bool ByteSource::read_more() {
  if (error_ != 0) return false;
  ssize_t got = 0;
  do {
    got = ::read(fd_.get(), buffer_.data() + end_, buffer_.size() - end_);
  } while (got < 0 && errno == EINTR);
  if (got < 0) error_ = errno;
  if (got <= 0) return false;
  end_ += static_cast<size_t>(got);
  return true;
}

tl::unexpected<Error> ByteSource::failure(const std::string& text) const {
  if (error_ != 0) return fail_errno(name_ + ": cannot read it", error_);
  return fail(name_ + ": " + text);
}

}  // namespace tfo
