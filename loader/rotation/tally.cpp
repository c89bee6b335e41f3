// SPDX-License-Identifier: BSD-2-Clause
#include "loader/rotation/tally.h"

namespace tfo::rotation {

std::optional<Ending> ending_of(const Event& event) {
  const std::string_view what = event.what;
  if (what.starts_with(kRevokedWords) || what.ends_with(kAllRevokedWords)) return Ending::kRevoked;
  if (what.starts_with(kAbortedWords)) return Ending::kAborted;
  if (!what.starts_with(kCompleteWords)) return std::nullopt;
  const bool revokes = what.find(", " + std::string(kRevokedWords)) != std::string_view::npos;
  return revokes ? Ending::kRevoked : Ending::kCompleted;
}

void EndingCounter::look(const Document& document) {
  // An older one was adopted by command: what follows it is told by its own events.
  const bool first = !seen_ || document.counter < *seen_;
  for (const Event& event : document.events) {
    const auto ending = first || event.counter <= *seen_ ? std::nullopt : ending_of(event);
    if (ending == Ending::kCompleted) ++counts_.completed;
    if (ending == Ending::kAborted) ++counts_.aborted;
    if (ending == Ending::kRevoked) ++counts_.revoked;
  }
  seen_ = document.counter;
}

}  // namespace tfo::rotation
