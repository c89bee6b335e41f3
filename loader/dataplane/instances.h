// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "loader/result.h"

namespace tfo {

/// Which instances have pins under `<bpffs>/tfoguard`. Nothing here writes or locks.

/// How a mount namespace of its own and the host's BPF file system do not meet: the part of an
/// error that follows "no BPF file system".
inline constexpr const char* kOwnMountNamespace =
    "in a mount namespace of its own, as `ip netns exec` makes, the host's is hidden";

/// Is there a pin directory of an instance, `<bpffs>/tfoguard/<instance>`? "No" is only said of a
/// BPF file system that could be read: anything else is an error.
Result<bool> has_pins(const std::filesystem::path& pin_directory);

/// Names of the instances that have maps or links in `<bpffs>/tfoguard`, sorted. None if the
/// directory does not exist.
Result<std::vector<std::string>> pinned_instances(const std::filesystem::path& directory);

/// The instance in `<bpffs>/tfoguard` that pins the XDP link of this device and program. Both are
/// asked for, as another network namespace may have a device of the same index. Nothing if none
/// does, or if its pins may not be opened.
std::optional<std::string> instance_on(const std::filesystem::path& directory, unsigned ifindex,
                                       uint32_t program_id);

}  // namespace tfo
