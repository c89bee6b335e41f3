// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "bpf/cookie.h"
#include "loader/config.h"
#include "loader/keys/ring.h"

namespace tfo {

/// What a VIP's configuration has to do with what becomes of a packet.
struct VipPolicy {
  tfo_vip_mode mode = TFO_OBSERVE;
  bool renew = false;
  uint16_t canary = 0;  // of the VIP's rows
  uint8_t flags = 0;    // likewise, TFO_VIP_*
  tfo_policy kernel{};
};

/// A SYN to a VIP whose cookie some key made, as far as its renewal goes.
struct AcceptedCookie {
  const tfo_packet& packet;          ///< parsed, options noted
  std::span<const uint8_t> options;  ///< of its TCP header
  tfo_reason reason;
  size_t generation;  ///< index in the ring of the key that made the cookie
};

/// What becomes of it, by the core that the program is built from.
struct RenewalOutcome {
  tfo_action would = TFO_PASS;    ///< what enforcing does
  tfo_action verdict = TFO_PASS;  ///< what is done
  std::string target;  ///< fingerprint of the key to renew to; empty unless would is renew
  std::string rule;    ///< why, one sentence
};

/// `now_ns`: the program's clock, unix time. `flow`: the packet's addresses.
RenewalOutcome renewal_of(const AcceptedCookie& cookie, const KeyRing& ring,
                          const VipPolicy& policy, const tfo_flow& flow, uint64_t now_ns);

/// What becomes of a SYN without such a cookie, if nothing came before it: rates begin at zero.
/// `generation` of the cookie does not matter.
RenewalOutcome refusal_of(const AcceptedCookie& syn, const KeyRing& ring, const VipPolicy& policy,
                          const tfo_flow& flow, uint64_t now_ns);

}  // namespace tfo
