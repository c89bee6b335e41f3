// SPDX-License-Identifier: BSD-2-Clause
// Captures of test packets, and what their replay says frame by frame.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "loader/replay/replay.h"
#include "tests/support/capture_builder.h"
#include "tests/support/reference.h"

namespace tfo::test {

/// A node with the VIPs and keys of a test's world; its clock stands where the world's does if
/// frames carry kReplayStamp.
Result<ReplayWorld> replay_world(const World& world, uint8_t decap = 0);
/// Unix time in ns of case_world()'s clock.
inline constexpr uint64_t kReplayStamp = 1'000'000'000'000;

/// A frame as an interface of this link type would have been captured: an Ethernet frame's link
/// header replaced, or a bare IP packet (raw) given one. Ethernet from Ethernet is the frame.
Bytes relinked(View ethernet, uint32_t link_type);

/// A verdict, or why there is none.
using Replayed = std::variant<Verdict, Skip>;
std::string to_string(const Replayed& replayed);

/// The replay of a capture that must be read to its end without an error; `error` else.
struct ReplayRun {
  std::vector<Replayed> frames;
  ReplayTotals totals;
  std::string error;
};
ReplayRun replay_file(View file, ReplayWorld& world, ReplayOptions options = {});

/// A pcapng capture with one interface of this link type, each frame at kReplayStamp.
/// `wire`: the length on the wire of each; empty: nothing was cut off.
Bytes capture_of(const std::vector<Bytes>& frames, uint32_t link_type,
                 const std::vector<uint32_t>& wire = {});

/// The keys of replay_sorts(), current and previous, as --key takes them.
inline constexpr const char* kReplayKeys =
    "00112233-44556677-8899aabb-ccddeeff,0f1e2d3c-4b5a6978-8796a5b4-c3d2e1f0";

/// Ten frames: a SYN of each common sort from clients of its own, and one segment that is no SYN;
/// as an interface of this link type would have been captured.
std::vector<Bytes> replay_sorts(uint32_t link_type = kLinkEthernet);

}  // namespace tfo::test
