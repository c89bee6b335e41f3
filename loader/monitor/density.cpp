// SPDX-License-Identifier: BSD-2-Clause
#include "loader/monitor/density.h"

#include <algorithm>
#include <utility>

namespace tfo {

uint64_t Density::see(std::chrono::nanoseconds now, std::span<const uint32_t> nets) {
  const bool known = at_ && nets.size() == nets_.size();
  const double seconds =
      known ? std::max(0.0, std::chrono::duration<double>(now - *at_).count()) : 0;
  if (!known) levels_.assign(nets.size(), 0);
  double beyond = 0;
  for (size_t i = 0; known && i < nets.size(); i++) {
    const double level =
        std::max(0.0, levels_[i] - seconds * kUsual) + static_cast<uint32_t>(nets[i] - nets_[i]);
    levels_[i] = std::min(level, kTolerance);
    beyond += level - levels_[i];
  }
  at_ = now;
  nets_.assign(nets.begin(), nets.end());
  return static_cast<uint64_t>(beyond);
}

bool Busy::see(std::chrono::nanoseconds now, double count, double usual) {
  const auto before = std::exchange(at_, now);
  const double seconds = before ? std::chrono::duration<double>(now - *before).count() : 0;
  if (seconds > 0) rate_ += (count / seconds - rate_) * std::min(1.0, seconds / kMemory);
  return rate_ >= usual;
}

}  // namespace tfo
