// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "bpf/tfo_abi.h"

namespace tfo {

/// Places entries into one side of the two-choice table of bpf/vip.h: every entry stands in one of
/// its two rows (tfo_vip_hash() with this seed), so that two probes find it or prove that it is not
/// there. Returns mask + 1 rows, the unused ones zero, or nothing if they do not fit; up to a third
/// of the rows they practically always do (cuckoo hashing). Pure.
std::optional<std::vector<tfo_vip>> place_vips(std::span<const tfo_vip> entries,
                                               const __u64 seed[2], uint32_t mask);

}  // namespace tfo
