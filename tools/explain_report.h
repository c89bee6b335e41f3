// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "loader/replay/explanation.h"
#include "tools/explain_input.h"

namespace tfo {

/// What there is to say of one packet.
struct ExplainedPacket {
  const ExplainInput& input;
  const Explanation& explanation;
  std::string vip;   // name; empty if it is for none
  std::string pool;  // of that VIP
  bool every_vip;    // there is no configuration, every destination counts as a VIP

  /// Where a byte of the Ethernet frame lies in the frame as it was given.
  uint32_t place(uint32_t offset) const {
    return offset - input.ethernet().made + input.ethernet().cut;
  }
  /// The first byte of the TCP options, in the Ethernet frame.
  uint32_t options_at() const { return explanation.headers.packet.tcp + 20; }
};

/// "2026-01-31 12:00:00.123456789Z"
std::string stamp_text(uint64_t time_ns);

/// For people, at most 100 columns wide.
void print_explanation(std::ostream& out, const ExplainedPacket& packet);

/// {frame: {number, time_ns, link_type, length, captured, tags: [{protocol, vlan}]}, ip: [{family,
/// source, destination, offset, header_length, end, protocol, extensions, fragment}], gue, padding,
/// tcp: {...}, vip: {name, pool}, options: [{offset, bytes, kind, name, effect, effective}],
/// fast_open: {state, kind, offset, cookie}, keys: [{number, place, fingerprint, slot, result}],
/// reason, sentence, rule, option, data, verdict, would, renewal: {rule, target}, servers:
/// [{accepted, acks_data, fresh_cookie, option, counters, given}], servers_notes, defect}. A part
/// that the packet does not get to is null. Offsets count in the frame as it was given.
nlohmann::ordered_json explanation_json(const ExplainedPacket& packet);

/// Judges a packet on the hook of this interface (empty: of the capture's own) and writes what
/// there is to say of it; the exit code.
int explain_in(Context& context, const ExplainInput& input, ReplayWorld& world,
               const std::string& interface);

}  // namespace tfo
