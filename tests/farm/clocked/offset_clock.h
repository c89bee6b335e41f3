// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <filesystem>

#include "loader/dataplane/fd.h"
#include "loader/keys/clock.h"

namespace tfo::test {

/// The system's clocks plus what a file says, read anew at every look: one or two decimal numbers
/// of seconds, "WALL [ASLEEP]". WALL is added to the wall clock: a clock that is off, or is set.
/// ASLEEP is added to both clocks: time that passed while the host was suspended. No file, or
/// nothing in it: 0. After ASLEEP or WALL the word "unsynchronised" may follow; without it the
/// clock counts as synchronised.
///
/// A change of the file is seen as the kernel's own steps are: write it as a whole (rename), or in
/// one write.
class OffsetClock : public Clock {
 public:
  explicit OffsetClock(std::filesystem::path file);

  Moment now() const override;
  /// BPF programs read the real boot clock, which was not asleep.
  int64_t boot_offset_ns() const override;
  int step_fd() const override { return changes_.get(); }

 private:
  std::filesystem::path file_;
  SystemClock system_;
  Fd changes_;  // inotify of the file's directory
};

}  // namespace tfo::test
