// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/bytes.h"
#include "tests/support/netns.h"

namespace tfo::test {

/// Sends frames at a rate, `frames` in turn, until it goes.
class Flood {
 public:
  /// From an interface of `from`, which outlives it.
  Flood(const NetNs& from, const std::string& interface, std::vector<Bytes> frames, uint64_t rate);
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;
  ~Flood() { stop(); }

  void stop();
  /// Since it began.
  double seconds() const;
  uint64_t sent() const { return sent_; }

 private:
  std::vector<Bytes> frames_;
  std::chrono::steady_clock::time_point start_;
  std::atomic<uint64_t> sent_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace tfo::test
