// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "loader/dataplane/fd.h"
#include "loader/result.h"

namespace tfo {

/// The bytes of a file or pipe, from where it stands, through one buffer. The buffer grows to the
/// longest piece that was asked for at once and that is really there, never to one that a damaged
/// length merely promises.
class ByteSource {
 public:
  /// `name` stands in messages. Fails on a directory.
  static Result<ByteSource> adopt(Fd fd, std::string name);

  /// True: at least `count` bytes are at data(). False: fewer are left, all at data(), or reading
  /// failed; failure() tells which. Waits for no more than `count` bytes, as a pipe may be slow.
  bool need(size_t count) { return end_ - begin_ >= count || refill(count); }
  /// Valid until the next need() or skip().
  const uint8_t* data() const { return buffer_.data() + begin_; }
  size_t available() const { return end_ - begin_; }
  /// `count` is at most available().
  void consume(size_t count) { begin_ += count; }
  /// Passes over bytes without keeping them; false as for need().
  bool skip(uint64_t count);

  uint64_t offset() const { return base_ + begin_; }      // of data(), from where reading began
  uint64_t end_offset() const { return base_ + end_; }    // behind the last byte read
  std::optional<uint64_t> size() const { return size_; }  // none for a pipe
  const std::string& name() const { return name_; }

  /// Everything was read, consumed, and nothing failed.
  bool at_end() const { return begin_ == end_ && error_ == 0; }
  /// The error of reading, or else "NAME: text".
  tl::unexpected<Error> failure(const std::string& text) const;

 private:
  ByteSource(Fd fd, std::string name, std::optional<uint64_t> size);
  bool refill(size_t count);
  bool read_more();

  Fd fd_;
  std::string name_;
  std::optional<uint64_t> size_;
  std::vector<uint8_t> buffer_;
  size_t begin_ = 0;   // of what is not consumed, in buffer_
  size_t end_ = 0;     // of what was read, in buffer_
  uint64_t base_ = 0;  // offset of the buffer's first byte
  int error_ = 0;      // errno of a failed read
};

}  // namespace tfo
