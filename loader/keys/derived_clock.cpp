// SPDX-License-Identifier: BSD-2-Clause
#include "loader/keys/derived_clock.h"

#include <algorithm>
#include <cstdlib>

namespace tfo {

ClockTrust::Reading ClockTrust::read(const Moment& now) {
  if (now.synchronised || !acted_at_ || now.unix_s >= *acted_at_) {
    const bool same_boot = !anchor_.boot_id.empty() && anchor_.boot_id == now.boot_id;
    const int64_t passed = now.boot_s - anchor_.boot_s;
    const int64_t step = same_boot ? now.unix_s - anchor_.unix_s - passed : 0;
    anchor_ = {.unix_s = now.unix_s, .boot_s = now.boot_s, .boot_id = now.boot_id};
    return {.unix_s = now.unix_s, .step = step};
  }
  if (anchor_.boot_id != now.boot_id || anchor_.boot_id.empty()) {
    // How long the host was off nobody knows: lives go on where they stood.
    anchor_ = {.unix_s = *acted_at_, .boot_s = now.boot_s, .boot_id = now.boot_id};
  }
  const int64_t expected = anchor_.unix_s + std::max<int64_t>(0, now.boot_s - anchor_.boot_s);
  const int64_t shift = now.unix_s - expected;
  return {.unix_s = *acted_at_, .sure = false, .shift = shift};
}

int64_t StagedWatch::period(int64_t interval) { return std::clamp<int64_t>(interval / 8, 1, 30); }

bool StagedWatch::due(int64_t unix_s, int64_t interval) const {
  return std::abs(unix_s - looked_at_) >= period(interval);
}

void StagedWatch::look(const Count& count, int64_t unix_s, int64_t staged, int64_t earliest) {
  looked_at_ = unix_s;
  if (unix_s >= earliest) {
    before_.reset();
    return;
  }
  const bool comparable =
      before_ && before_->staged == staged && before_->count.epoch == count.epoch;
  if (comparable && count.staged > before_->count.staged) {
    seen_ = count.staged - before_->count.staged;
    grew_at_ = unix_s;
  }
  before_ = Before{.count = count, .staged = staged};
}

void StagedWatch::restore(uint64_t seen, int64_t grew_at, int64_t unix_s) {
  seen_ = seen;
  grew_at_ = std::min(grew_at, unix_s);
}

void StagedWatch::clock_set(int64_t unix_s) {
  forget();
  restore(seen_, grew_at_, unix_s);
}

bool StagedWatch::suspect(int64_t unix_s, int64_t quiet) const {
  return grew_at_ != 0 && unix_s - grew_at_ < quiet;
}

}  // namespace tfo
