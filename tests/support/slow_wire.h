// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "loader/dataplane/fd.h"
#include "tests/support/bytes.h"
#include "tests/support/netns.h"

namespace tfo::test {

/// A wire between two interfaces of a network namespace that loses segments or holds them: so that
/// kernels send again, and hear late. What is no TCP over IPv4 passes. Who sends into it has to
/// compute checksums itself (ethtool -K NAME tx off).
class SlowWire {
 public:
  enum class Fate { kPasses, kLost, kHeld };
  struct Crossing {
    bool to_right = false;
    uint8_t flags = 0;  // of TCP
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
  };
  /// Called by one thread.
  using Rule = std::function<Fate(const Crossing&)>;

  /// `where` outlives it.
  SlowWire(const NetNs& where, const std::string& left, const std::string& right, Rule rule);
  SlowWire(const SlowWire&) = delete;
  SlowWire& operator=(const SlowWire&) = delete;
  ~SlowWire();

  /// Frames that wait.
  size_t held() const;
  /// Sends them.
  void release();

 private:
  void carry(size_t from);
  void send(size_t to, const Bytes& frame) const;

  std::array<Fd, 2> ends_;
  Rule rule_;
  mutable std::mutex mutex_;
  std::vector<std::pair<size_t, Bytes>> held_;  // with where they go
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace tfo::test
