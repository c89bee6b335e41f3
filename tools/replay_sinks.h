// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>

#include "loader/capture/writer.h"
#include "loader/replay/replay.h"
#include "tools/context.h"

namespace tfo {

/// "2026-01-31 12:00:00.123456789", UTC. Frames of one second follow each other: the calendar is
/// asked once for them.
class StampText {
 public:
  /// Valid until the next call.
  const char* text(uint64_t time_ns);

 private:
  uint64_t second_ = UINT64_MAX;
  size_t length_ = 0;
  char text_[64] = {};
};

/// One line per frame (--frames): number, time, addresses, reason, labels, verdict. With -j the
/// elements of a JSON array, separated by commas; the caller writes the brackets.
class FrameLines : public ReplaySink {
 public:
  FrameLines(Context& context, const ReplayWorld& world) : context_(&context), world_(&world) {}
  Result<> take(const ReplayedFrame& frame) override;

 private:
  Result<> take_text(const ReplayedFrame& frame);
  Result<> take_json(const ReplayedFrame& frame);
  Context* context_;
  const ReplayWorld* world_;
  StampText stamp_;
  bool first_ = true;
};

/// The capture again (--out), as pcapng: frames as the program left them, each with its verdict as
/// a comment.
class AnnotatedCapture : public ReplaySink {
 public:
  /// Fails if `path` is the file that `reader` reads (`input`), or anything else than a capture: a
  /// file of keys would be lost.
  static Result<AnnotatedCapture> create(const std::string& path, const std::string& input,
                                         const CaptureReader& reader, const ReplayWorld& world);
  Result<> take(const ReplayedFrame& frame) override;
  Result<> commit();
  /// Path of the file that it is written to until commit().
  const std::string& temporary() const { return writer_.temporary(); }

 private:
  AnnotatedCapture(CaptureWriter writer, const CaptureReader& reader, const ReplayWorld& world)
      : writer_(std::move(writer)), reader_(&reader), world_(&world) {}
  Result<> add_interfaces();
  CaptureWriter writer_;
  const CaptureReader* reader_;
  const ReplayWorld* world_;
  size_t interfaces_ = 0;
};

}  // namespace tfo
