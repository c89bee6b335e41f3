// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tools/context.h"
#include "tools/farm_status.h"

namespace tfo {

/// "s2 (server) has not acknowledged for 12s; without a lease, last seen 2026-01-31 12:00:00Z".
/// `now`: unix seconds.
std::string straggler_words(const FarmStatus& status, const FarmMember& member, int64_t now);

/// The progress of something that a farm does, on standard error: on a terminal a few lines that
/// are written anew in their place, else a line for each change.
class FarmProgress {
 public:
  /// `from`: counter of the document that what is shown began with.
  FarmProgress(Context& context, const rotation::Counter& from) : context_(context), last_(from) {}

  void show(const FarmStatus& status);
  /// A sentence of its own, below what was shown; the same one twice in a row only once.
  void say(const std::string& text);

 private:
  void redraw(const FarmStatus& status);
  void changes(const FarmStatus& status);
  void news(const FarmStatus& status);
  void erase();

  Context& context_;
  size_t lines_ = 0;        // on the terminal, to be written over
  rotation::Counter last_;  // of the events that were said
  std::string said_;
  std::string state_;
  std::map<std::string, std::string> nodes_;  // what was last said of each
};

}  // namespace tfo
