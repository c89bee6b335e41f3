// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tfo {

/// Background radiation, an address: SYN-ACKs a second that come to IPv4 anyway (of the order of
/// 0.01/s, four times that to be on the safe side).
inline constexpr double kUsualBackground = 0.04;

/// What comes to each /24 of a declared prefix beyond its background. A wide prefix has so much of
/// it that an attack on some of its addresses would be lost in the sum.
class Density {
 public:
  static constexpr double kUsual = 256 * kUsualBackground;  // packets a second
  static constexpr double kTolerance = 10 * kUsual;         // packets that may come at once

  /// `nets`: packets of each /24 since the beginning; they wrap. The packets beyond since the last
  /// call, 0 of the first; every second or so.
  uint64_t see(std::chrono::nanoseconds now, std::span<const uint32_t> nets);
  void restart() { at_.reset(); }

 private:
  std::optional<std::chrono::nanoseconds> at_;
  std::vector<uint32_t> nets_;
  std::vector<double> levels_;  // packets that their background does not explain yet
};

/// Does more come than usual, over ten seconds or so?
class Busy {
 public:
  /// `count` came since the last call, of which the first one knows nothing; `usual` a second.
  bool see(std::chrono::nanoseconds now, double count, double usual);

 private:
  static constexpr double kMemory = 10;  // seconds
  std::optional<std::chrono::nanoseconds> at_;
  double rate_ = 0;
};

}  // namespace tfo
