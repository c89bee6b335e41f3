// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bpf/tfo_abi.h"
#include "loader/replay/option_walk.h"

namespace tfo {

/// Which of a server's two key slots (tcp_fastopen_key) made a cookie.
enum class ServerSlot : uint8_t { kNone, kPrimary, kBackup };

/// "none", "primary", "backup".
const char* slot_label(ServerSlot slot);

/// What a Linux listener answers to a SYN, as observed with raw SYNs and nstat: TCP_FASTOPEN above
/// 0 with room in its queue, tcp_fastopen with 0x2 and without 0x200, no SYN cookies in use, no
/// request of the same addresses and ports open (tcp_try_fastopen() in net/ipv4/tcp_fastopen.c).
struct ServerAnswer {
  std::string given;       // what it depends on that is not known here; empty: nothing
  bool accepted = false;   // the connection is open with the SYN, RFC 7413 section 4.2.2
  bool acks_data = false;  // the SYN-ACK acknowledges the data of the SYN too
  tfo_option_kind cookie = TFO_OPTION_NONE;  // option in which it carries a fresh cookie; or none
  std::vector<const char*> counters;         // of TcpExt in /proc/net/netstat that go up by one
};

/// Answers to a SYN whose effective Fast Open option is `kind` (TFO_OPTION_NONE: it has none that
/// counts). One answer; several if it takes a key to tell and there is none (`reason` no_key).
/// None if `reason` is not one of a SYN to a VIP.
std::vector<ServerAnswer> server_answers(tfo_reason reason, ServerSlot slot, tfo_option_kind kind,
                                         bool data);

/// What in a SYN's options makes some servers drop it before they look at Fast Open, a sentence
/// each: signatures, and options that break off where a signature could follow.
std::vector<std::string> server_notes(const OptionWalk& options);

}  // namespace tfo
