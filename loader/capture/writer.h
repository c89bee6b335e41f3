// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "loader/capture/capture.h"
#include "loader/result.h"

namespace tfo {

/// Writes a pcapng file with nanosecond stamps. The file appears under its name only with
/// commit(); before, and if the writer goes without it, whatever stood there stays untouched.
class CaptureWriter {
 public:
  /// Creates a temporary file beside `path`, named PATH.PID.N.part. `application` is written as
  /// shb_userappl.
  static Result<CaptureWriter> create(const std::string& path, std::string_view application);

  CaptureWriter(CaptureWriter&&) noexcept;
  CaptureWriter& operator=(CaptureWriter&&) noexcept;
  ~CaptureWriter();

  /// Adds an interface; the first one is number 0.
  Result<> add_interface(const CaptureInterface& interface);

  /// Adds a frame: number, time, interface, wire length and flags of `frame`, but these bytes, and
  /// a comment (opt_comment, UTF-8, of it at most 65,535 bytes) if it is not empty. A failed write
  /// is final: commit() fails too.
  Result<> add(const CapturedFrame& frame, std::span<const uint8_t> bytes,
               std::string_view comment);

  /// Flushes, syncs and renames to `path`.
  Result<> commit();

  /// Path of the temporary file; empty after commit().
  const std::string& temporary() const;

 private:
  class Impl;
  explicit CaptureWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tfo
