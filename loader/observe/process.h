// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>

namespace tfo {

/// What this process uses, as Prometheus' client libraries name it; nothing where /proc does not
/// tell.
struct ProcessView {
  std::optional<double> cpu_seconds = {};  // user and system
  std::optional<uint64_t> resident_bytes = {};
  std::optional<uint64_t> virtual_bytes = {};
  std::optional<uint64_t> threads = {};
  std::optional<uint64_t> open_fds = {};
  std::optional<uint64_t> max_fds = {};  // the soft limit
};

ProcessView read_process();

}  // namespace tfo
