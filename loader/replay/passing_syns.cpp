// SPDX-License-Identifier: BSD-2-Clause
#include "loader/replay/passing_syns.h"

#include <cstring>
#include <functional>
#include <string>
#include <string_view>

namespace tfo {
namespace {

/// Of its addresses, ports and sequence number; 0 if the frame was cut off before them.
uint64_t name_of(const Flow& flow, const Description& description, std::span<const uint8_t> whole) {
  constexpr size_t kTcpHead = 8;  // bytes: ports, sequence number
  const size_t tcp = description.packet.tcp;
  if (tcp + kTcpHead > whole.size()) return 0;
  std::string text(reinterpret_cast<const char*>(whole.data()) + tcp, kTcpHead);
  for (const auto* address : {&flow.source, &flow.destination}) {
    text.append(reinterpret_cast<const char*>(address->data()), address->size());
  }
  return std::hash<std::string_view>()(text) | 1;
}

}  // namespace

void PassingSyns::came_in(const Flow& flow, const Description& description,
                          std::span<const uint8_t> whole) {
  const uint64_t name = name_of(flow, description, whole);
  slots_[(name >> 1) % kSlots] = name;
}

bool PassingSyns::leaves(const Flow& flow, const Description& description,
                         std::span<const uint8_t> whole) {
  const uint64_t name = name_of(flow, description, whole);
  uint64_t& slot = slots_[(name >> 1) % kSlots];
  if (name == 0 || slot != name) return false;
  slot = 0;
  return true;
}

}  // namespace tfo
