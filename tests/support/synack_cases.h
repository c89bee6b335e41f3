// SPDX-License-Identifier: BSD-2-Clause
// What a SYN-ACK is, by what is known of it: the same table on the host and through the program.
#pragma once

#include <cstdint>

#include "bpf/synack_core.h"

namespace tfo::test {

inline constexpr uint32_t kNoSocket = 0;
inline constexpr uint32_t kEstablished = 1;  // include/net/tcp_states.h

struct SynAckCase {
  const char* name;
  uint32_t kind;    ///< enum tfo_target_kind
  bool remembered;  ///< its SYN left
  bool sockets;     ///< the node's own sockets may be asked
  uint32_t state;   ///< of the socket that there is
  int says;         ///< enum tfo_synack_says in the end
};

inline constexpr SynAckCase kSynAckCases[] = {
    {"answer", TFO_TARGET_TRACKED, true, true, TFO_SOCKET_SYN_SENT, TFO_SYNACK_ANSWER},
    {"answer, late: the program gave up", TFO_TARGET_TRACKED, true, true, kNoSocket,
     TFO_SYNACK_ANSWER},
    {"answer to a forwarded SYN", TFO_TARGET_TRACKED, true, false, kNoSocket, TFO_SYNACK_ANSWER},
    {"egress is blind", TFO_TARGET_TRACKED, false, true, TFO_SOCKET_SYN_SENT, TFO_SYNACK_BLIND},
    {"copy for a connection from before us", TFO_TARGET_TRACKED, false, true, kEstablished,
     TFO_SYNACK_KNOWN},
    {"to a port that listens", TFO_TARGET_TRACKED, false, true, TFO_SOCKET_LISTEN,
     TFO_SYNACK_UNSOLICITED},
    {"nobody asked", TFO_TARGET_TRACKED, false, true, kNoSocket, TFO_SYNACK_UNSOLICITED},
    {"sockets are not asked", TFO_TARGET_TRACKED, false, false, TFO_SOCKET_SYN_SENT,
     TFO_SYNACK_UNSOLICITED},
    {"a VIP opens nothing", TFO_TARGET_VIP, true, true, TFO_SOCKET_SYN_SENT,
     TFO_SYNACK_UNSOLICITED},
    {"asymmetric: all count", TFO_TARGET_ASYMMETRIC, true, true, TFO_SOCKET_SYN_SENT,
     TFO_SYNACK_UNSOLICITED},
};

}  // namespace tfo::test
