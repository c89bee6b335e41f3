// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <filesystem>
#include <string>

#include "loader/dataplane/device.h"

namespace tfo {

/// Why an XDP hook is taken, and the command that frees it: "interface IF already carries XDP
/// program 17 (NAME): ...". `instances` is `<bpffs>/tfoguard`. Without CAP_SYS_ADMIN neither the
/// program's name nor the id of its bpf_link can be had; the text then says how to find the link.
std::string occupied_text(const Device& device, const std::filesystem::path& instances);

}  // namespace tfo
