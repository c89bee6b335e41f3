// SPDX-License-Identifier: BSD-2-Clause
#include "loader/replay/renewal_rules.h"

#include <fmt/format.h>

#include "bpf/canary.h"
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

std::string refusal_rule(const tfo_facts& facts, const RenewalOutcome& outcome) {
  const char* what = facts.reason == TFO_COOKIE_REVOKED ? "The key that made the cookie is revoked"
                     : facts.reason == TFO_DATA_NO_OPTION ? "Data without a Fast Open option"
                                                          : "No key of the pool made the cookie";
  const bool done = outcome.verdict == outcome.would;
  switch (outcome.would) {
    case TFO_DEMOTE:
      return fmt::format(
          "{}: {} a request for a fresh one, and its data comes again after the handshake", what,
          done ? "it is made" : "in mode enforce it would be made");
    case TFO_DROP:
      return fmt::format("{}: {}", what,
                         done ? "it is dropped" : "in mode enforce it would be dropped");
    default:
      break;
  }
  return facts.fresh == 0 ? fmt::format(
                                "{}, but the farm may have keys by now that this node lacks: "
                                "it is left as it is",
                                what)
                          : "";
}

RenewalOutcome outcome_of(const AcceptedCookie& cookie, const KeyRing& ring, const tfo_ring& kernel,
                          const VipPolicy& policy, const tfo_flow& flow, uint64_t now_ns) {
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
  outcome.verdict = static_cast<tfo_action>(
      tfo_verdict(tfo_client_mode(policy.mode, policy.canary, &flow), TFO_RENEW));
  outcome.target = ring.generations[kernel.target].key.fingerprint();
  outcome.rule = renew_rule(ring, kernel, outcome.verdict);
  return outcome;
}

}  // namespace

RenewalOutcome renewal_of(const AcceptedCookie& cookie, const KeyRing& ring,
                          const VipPolicy& policy, const tfo_flow& flow, uint64_t now_ns) {
  if (tfo_is_accepted(cookie.reason) == 0 || ring.renewal.target == 0) return {};
  auto kernel = kernel_ring(ring, 0);
  if (!kernel) return {};
  RenewalOutcome outcome = outcome_of(cookie, ring, *kernel, policy, flow, now_ns);
  wipe_ring(*kernel);
  return outcome;
}

RenewalOutcome refusal_of(const AcceptedCookie& syn, const KeyRing& ring, const VipPolicy& policy,
                          const tfo_flow& flow, uint64_t now_ns) {
  if (tfo_concerns_policy(policy.flags, syn.reason) == 0) return {};
  auto kernel = kernel_ring(ring, 0);
  if (!kernel) return {};
  tfo_trigger trigger{};
  const tfo_facts facts{.now_ns = now_ns,
                        .reason = syn.reason,
                        .guard = TFO_GUARD_OK,
                        .renewable = 0,
                        .is_signed = is_signed(syn.options) ? 1 : 0,
                        .fresh = tfo_is_fresh(&*kernel, now_ns)};
  wipe_ring(*kernel);
  RenewalOutcome outcome;
  const int would = tfo_decide(&policy.kernel, &trigger, &facts);
  outcome.would = static_cast<tfo_action>(would);
  outcome.verdict = static_cast<tfo_action>(
      tfo_verdict(tfo_client_mode(policy.mode, policy.canary, &flow), static_cast<__u8>(would)));
  outcome.rule = refusal_rule(facts, outcome);
  return outcome;
}

}  // namespace tfo
