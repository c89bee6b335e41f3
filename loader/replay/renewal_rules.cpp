// SPDX-License-Identifier: BSD-2-Clause
#include "loader/replay/renewal_rules.h"

#include <fmt/format.h>

#include "bpf/policy.h"
#include "bpf/rewrite.h"
#include "loader/dataplane/ring_writer.h"

namespace tfo {
namespace {

bool is_signed(std::span<const uint8_t> options) {
  const uint8_t* end = options.data() + options.size();
  return tfo_is_signed(options.data(), end, static_cast<uint32_t>(options.size())) != 0;
}

/// Why a cookie of an accepted key is left as it is, whatever the VIP does.
std::string kept_rule(const tfo_ring& ring, size_t generation, const tfo_generation* target) {
  if ((ring.renew >> generation & 1) == 0) {
    return "Not renewed: every server holds the key that made the cookie";
  }
  if (target == nullptr) {
    return "Not renewed: the key to renew to has expired, or it is too long ago that every server "
           "was known to hold it";
  }
  return "Not renewed: a signature covers the segment (RFC 5925 section 5.1, RFC 2385 section 2.0)";
}

std::string renew_rule(const KeyRing& ring, const tfo_ring& kernel, tfo_action verdict) {
  const Generation& target = ring.generations[kernel.target];
  const std::string which =
      fmt::format("the cookie under key {} ({}, {}), which every server holds", kernel.target + 1,
                  target.key.fingerprint(), to_string(target.place));
  const std::string why = "Not every server holds the key that made the cookie: ";
  return verdict == TFO_RENEW ? why + "it is rewritten to " + which
                              : why + "in mode enforce it would be rewritten to " + which;
}

RenewalOutcome outcome_of(const AcceptedCookie& cookie, const KeyRing& ring, const tfo_ring& kernel,
                          const VipPolicy& policy, uint64_t now_ns) {
  tfo_packet packet = cookie.packet;
  packet.generation = static_cast<__u8>(cookie.generation);
  packet.flags = TFO_VIP_USED | TFO_VIP_RENEW;
  const tfo_generation* target = tfo_renew_target(&kernel, now_ns);
  RenewalOutcome outcome;
  if (tfo_may_renew(&packet, cookie.reason, &kernel) == 0 || target == nullptr ||
      is_signed(cookie.options)) {
    outcome.rule = kept_rule(kernel, cookie.generation, target);
    return outcome;
  }
  if (!policy.renew) {
    outcome.rule =
        "Not every server holds the key that made the cookie; the VIP does not ask to renew such "
        "cookies (\"renew\")";
    return outcome;
  }
  outcome.would = TFO_RENEW;
  outcome.verdict = static_cast<tfo_action>(tfo_verdict(policy.mode, TFO_RENEW));
  outcome.target = ring.generations[kernel.target].key.fingerprint();
  outcome.rule = renew_rule(ring, kernel, outcome.verdict);
  return outcome;
}

}  // namespace

RenewalOutcome renewal_of(const AcceptedCookie& cookie, const KeyRing& ring,
                          const VipPolicy& policy, uint64_t now_ns) {
  if (tfo_is_accepted(cookie.reason) == 0 || ring.renewal.target == 0) return {};
  auto kernel = kernel_ring(ring, 0);
  if (!kernel) return {};
  RenewalOutcome outcome = outcome_of(cookie, ring, *kernel, policy, now_ns);
  wipe_ring(*kernel);
  return outcome;
}

}  // namespace tfo
