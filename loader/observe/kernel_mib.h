// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "loader/result.h"

namespace tfo {

/// A counter of /proc/net/netstat that tells how Fast Open fares (include/uapi/linux/snmp.h,
/// net/ipv4/proc.c). All are in the group TcpExt and only grow while the namespace lives.
struct KernelCounter {
  std::string_view name;      // as the kernel prints it
  std::string_view metric;    // tfo_kernel_<metric>_total
  std::string_view sentence;  // HELP of the metric
};

inline constexpr size_t kKernelCounters = 11;
extern const std::array<KernelCounter, kKernelCounters> kKernelCounterTable;

/// By position in kKernelCounterTable; nothing where this kernel has no such counter.
using KernelMib = std::array<std::optional<uint64_t>, kKernelCounters>;

/// The counters in the text of a netstat file, by name (columns differ between kernels).
Result<KernelMib> parse_netstat(std::string_view text);

/// OutRsts of the text of a snmp file: the resets that were sent.
std::optional<uint64_t> parse_resets(std::string_view text);
/// The same from an open descriptor; nothing if it cannot be read.
std::optional<uint64_t> read_resets(int fd);

/// The same as parse_netstat() from an open descriptor of a namespace's netstat, read from its
/// beginning. It belongs to the namespace in which it was opened, whoever reads it.
Result<KernelMib> read_netstat(int fd);

}  // namespace tfo
