// SPDX-License-Identifier: BSD-2-Clause
#include "loader/replay/explanation.h"

#include <fmt/format.h>

#include <algorithm>

#include "bpf/judge.h"
#include "bpf/parse.h"
#include "bpf/policy.h"
#include "loader/dataplane/ring_writer.h"
#include "loader/replay/verdict_rules.h"

namespace tfo {
namespace {

/// What the kernel surely puts into the first piece of a test run's frame; a program reaches the
/// headers in it directly.
constexpr uint32_t kFirstPiece = 3072;

/// What the core on the host makes of a SYN to a VIP.
struct Outcome {
  tfo_packet packet{};
  OptionWalk options;
  std::vector<KeyTrial> keys;
  tfo_reason reason = TFO_INTERNAL_ERROR;
};

ServerSlot slot_of(const KeyRing& ring, const Generation& generation) {
  if (generation.place == TFO_PLACE_CURRENT) return ServerSlot::kPrimary;
  // Bare keys may have several previous ones, each the backup of its time.
  const Generation* backup = ring.backup();
  return backup != nullptr && generation.place == backup->place ? ServerSlot::kBackup
                                                                : ServerSlot::kNone;
}

KeyResult result_of(int tried) {
  if (tried == TFO_NO_KEY) return KeyResult::kExpired;
  return tried == TFO_COOKIE_INVALID ? KeyResult::kNo : KeyResult::kMatch;
}

/// As tfo_match_cookie(), noting every key on the way.
tfo_reason try_keys(const KeyRing& ring, const tfo_ring& kernel, uint64_t now_ns,
                    const tfo_flow& flow, uint64_t cookie, std::vector<KeyTrial>& keys) {
  int reason = TFO_NO_KEY;
  for (size_t i = 0; i < kernel.count; i++) {
    const Generation& generation = ring.generations[i];
    KeyTrial trial{.number = i + 1,
                   .place = generation.place,
                   .fingerprint = generation.key.fingerprint(),
                   .slot = slot_of(ring, generation),
                   .not_after = generation.not_after};
    if (tfo_is_match(reason) == 0) {
      const int tried = tfo_try_key(&kernel.generation[i], now_ns, &flow, cookie);
      trial.result = result_of(tried);
      if (tried != TFO_NO_KEY) reason = tried;
    }
    keys.push_back(std::move(trial));
  }
  return static_cast<tfo_reason>(reason);
}

tfo_reason check_cookie(const tfo_frame& core, const tfo_packet& packet, const KeyRing& ring,
                        uint64_t now_ns, std::vector<KeyTrial>& keys) {
  tfo_flow flow{};
  const uint8_t* cookie =
      tfo_at(&core, packet.option + tfo_option_base(packet.option_kind), TFO_COOKIE_LEN);
  auto kernel = kernel_ring(ring, 0);
  if (!kernel || cookie == nullptr || tfo_load_flow(&core, packet.family, packet.ip, &flow) == 0) {
    return TFO_INTERNAL_ERROR;
  }
  const tfo_reason reason = try_keys(ring, *kernel, now_ns, flow, tfo_load64(cookie), keys);
  wipe_ring(*kernel);
  return reason;
}

Outcome judge_syn(const EthernetFrame& frame, tfo_packet packet, const KeyRing& ring,
                  uint64_t now_ns) {
  __u32 length = frame.wire_length;
  const tfo_frame core{.data = frame.bytes.data(),
                       .end = frame.bytes.data() + frame.bytes.size(),
                       .context = &length};
  Outcome outcome;
  outcome.options = walk_tcp_options(
      frame.bytes.subspan(packet.tcp + TFO_TCP_LEN, packet.header_len - TFO_TCP_LEN));
  tfo_note_options(&packet, outcome.options.found);
  const int reason = tfo_judge_options(&packet, outcome.options.found);
  outcome.reason = reason == TFO_GO_ON ? check_cookie(core, packet, ring, now_ns, outcome.keys)
                                       : static_cast<tfo_reason>(reason);
  outcome.packet = packet;
  return outcome;
}

RenewalOutcome judge_policy(const JudgedFrame& judged, const Outcome& outcome) {
  const auto match = std::ranges::find(outcome.keys, KeyResult::kMatch, &KeyTrial::result);
  const bool matched = match != outcome.keys.end();
  const tfo_packet& packet = outcome.packet;
  const AcceptedCookie cookie{.packet = packet,
                              .options = judged.frame.bytes.subspan(
                                  packet.tcp + TFO_TCP_LEN, packet.header_len - TFO_TCP_LEN),
                              .reason = outcome.reason,
                              .generation = matched ? match->number - 1 : 0};
  const tfo_frame core{.data = judged.frame.bytes.data(),
                       .end = judged.frame.bytes.data() + judged.frame.bytes.size(),
                       .context = nullptr};
  tfo_flow flow{};
  if (tfo_load_flow(&core, packet.family, packet.ip, &flow) == 0) return {};
  return tfo_is_accepted(outcome.reason) != 0
             ? renewal_of(cookie, judged.ring, judged.policy, flow, judged.now_ns)
             : refusal_of(cookie, judged.ring, judged.policy, flow, judged.now_ns);
}

/// Its VIP is not among what the program tells, so the program is believed.
RenewalOutcome judge_truncated(const JudgedFrame& judged) {
  RenewalOutcome outcome;
  outcome.would = judged.judgement.would;
  outcome.verdict = judged.judgement.verdict;
  return outcome;
}

std::vector<ServerAnswer> answers_to(const Outcome& outcome, bool data) {
  const TcpOption* option = outcome.options.fast_open();
  return server_answers(outcome.reason, matched_slot(outcome.keys),
                        option == nullptr ? TFO_OPTION_NONE : option->kind, data);
}

/// What the servers make of a packet that the program changed, or held back.
std::vector<ServerAnswer> answers_to_changed(const JudgedFrame& judged) {
  if (judged.judgement.verdict == TFO_DROP) return {};
  const EthernetFrame left{.bytes = judged.left,
                           .wire_length = static_cast<uint32_t>(judged.left.size())};
  const Headers headers = walk_headers(left, judged.config);
  if (headers.parsed >= 0) return {};
  const Outcome outcome = judge_syn(left, headers.packet, judged.ring, judged.now_ns);
  return answers_to(outcome, headers.packet.data != 0);
}

/// A header lies where a program does not reach it in one piece: internal_error without a defect.
bool beyond_first_piece(const JudgedFrame& judged) {
  return judged.judgement.reason == TFO_INTERNAL_ERROR && judged.frame.wire_length > kFirstPiece;
}

}  // namespace

const char* key_result_label(KeyResult result) {
  constexpr const char* kLabels[] = {"match", "no", "expired", "not_tried"};
  return kLabels[static_cast<size_t>(result)];
}

Explanation explain(const JudgedFrame& judged) {
  Explanation explanation;
  explanation.headers = walk_headers(judged.frame, judged.config);
  explanation.judgement = judged.judgement;
  const Headers& headers = explanation.headers;
  if (beyond_first_piece(judged)) {
    explanation.host_reason = TFO_INTERNAL_ERROR;
    explanation.rule =
        "Its headers lie beyond the first piece of a long frame, where the program does not follow "
        "them";
    return explanation;
  }
  if (!explanation.is_syn()) {
    explanation.host_reason = static_cast<tfo_reason>(headers.parsed);
    explanation.rule = headers.rule;
    if (headers.parsed == TFO_TRUNCATED) explanation.renewal = judge_truncated(judged);
    return explanation;
  }
  if (!explanation.has_vip()) {
    explanation.host_reason = TFO_NOT_VIP;
    explanation.rule = no_vip_rule(headers);
    return explanation;
  }
  Outcome outcome = judge_syn(judged.frame, headers.packet, judged.ring, judged.now_ns);
  explanation.host_reason = outcome.reason;
  explanation.rule = syn_rule(outcome.reason, outcome.options, outcome.keys);
  explanation.renewal = judge_policy(judged, outcome);
  const bool changed = judged.judgement.verdict != TFO_PASS;
  explanation.servers =
      changed ? answers_to_changed(judged) : answers_to(outcome, headers.packet.data != 0);
  explanation.options = std::move(outcome.options);
  explanation.keys = std::move(outcome.keys);
  return explanation;
}

}  // namespace tfo
