// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "loader/capture/capture.h"

namespace tfo {

/// A captured frame in the shape that the XDP program expects, Ethernet.
struct EthernetFrame {
  std::span<const uint8_t> bytes;  // captured part; in the shaper's memory or the capture's
  uint32_t wire_length = 0;        // of the whole Ethernet frame; at least bytes.size()
  uint32_t cut = 0;   // bytes of the captured link header that were taken away; 0 for Ethernet
  uint32_t made = 0;  // bytes of Ethernet header put in their place: 0 or 14
  Direction direction = Direction::kUnknown;  // by the cooked header or epb_flags
};

/// Turns frames of the link types above into Ethernet frames: the link header is replaced by an
/// Ethernet header with the ethertype that it stands for. Tags stay where they are.
class LinkShaper {
 public:
  static bool knows(uint32_t link_type);
  /// "Ethernet", "Linux cooked v2", ...; "link type 147" for an unknown one.
  static std::string name(uint32_t link_type);

  /// None if the link type is unknown or not even its header was captured. The result is valid
  /// until the next call, and as long as `frame.bytes`.
  std::optional<EthernetFrame> shape(uint32_t link_type, const CapturedFrame& frame);

  /// The way back: the frame as captured, with everything behind the link header taken from
  /// `ethernet`, which the program may have rewritten. Valid until the next call of either.
  std::span<const uint8_t> restore(const CapturedFrame& frame, const EthernetFrame& shaped,
                                   std::span<const uint8_t> ethernet);

 private:
  std::vector<uint8_t> shaped_;
  std::vector<uint8_t> restored_;
};

}  // namespace tfo
