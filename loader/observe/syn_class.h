// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bpf/tfo_abi.h"
#include "loader/observe/snapshot.h"

namespace tfo {

/// What a SYN to a VIP means to whoever asks whether Fast Open works: the reasons in six groups.
enum class SynClass {
  kPlain,  // nothing of Fast Open
  kAsks,   // for a cookie
  kGood,   // a cookie under a key that servers hold
  kOld,    // a cookie under a key that servers gave up; renewed where a VIP asks for it
  kBad,    // no key made the cookie, or a revoked one
  kOther,  // data without an option, an option that the kernel ignores, no key to check with
};
inline constexpr size_t kSynClasses = 6;
inline constexpr std::array<std::string_view, kSynClasses> kSynClassLabels = {
    "plain", "asks", "good", "old", "bad", "other"};

using SynClasses = std::array<uint64_t, kSynClasses>;

/// SYNs of a VIP by class. What belongs to no VIP is in none.
SynClasses syn_classes(const Counters& counters);

}  // namespace tfo
