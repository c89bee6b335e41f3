// SPDX-License-Identifier: BSD-2-Clause
#include "loader/replay/servers_answer.h"

namespace tfo {
namespace {

constexpr const char* kCookieReqd = "TCPFastOpenCookieReqd";
constexpr const char* kPassive = "TCPFastOpenPassive";
constexpr const char* kPassiveAltKey = "TCPFastOpenPassiveAltKey";
constexpr const char* kPassiveFail = "TCPFastOpenPassiveFail";

ServerAnswer refuse(tfo_option_kind kind, const char* counter) {
  return {.given = "", .cookie = kind, .counters = {counter}};
}

/// A cookie of 8 bytes.
ServerAnswer check(ServerSlot slot, tfo_option_kind kind, bool data) {
  switch (slot) {
    case ServerSlot::kPrimary:
      return {.given = "", .accepted = true, .acks_data = data, .counters = {kPassive}};
    case ServerSlot::kBackup:
      return {.given = "",
              .accepted = true,
              .acks_data = data,
              .cookie = kind,
              .counters = {kPassive, kPassiveAltKey}};
    case ServerSlot::kNone:
      break;
  }
  return refuse(kind, kPassiveFail);
}

std::vector<ServerAnswer> check_under_each(tfo_option_kind kind, bool data) {
  std::vector<ServerAnswer> answers = {check(ServerSlot::kPrimary, kind, data),
                                       check(ServerSlot::kBackup, kind, data),
                                       check(ServerSlot::kNone, kind, data)};
  answers[0].given = "if the servers' first key made the cookie";
  answers[1].given = "if their second key made it";
  answers[2].given = "if neither did";
  return answers;
}

}  // namespace

const char* slot_label(ServerSlot slot) {
  constexpr const char* kLabels[] = {"none", "primary", "backup"};
  return kLabels[static_cast<size_t>(slot)];
}

std::vector<ServerAnswer> server_answers(tfo_reason reason, ServerSlot slot, tfo_option_kind kind,
                                         bool data) {
  switch (reason) {
    case TFO_PLAIN:
    case TFO_DATA_NO_OPTION:
    case TFO_OPTION_IGNORED:
      return {ServerAnswer{}};
    case TFO_REQUEST:
      return {refuse(kind, kCookieReqd)};
    case TFO_COOKIE_LENGTH:
      return {refuse(kind, kPassiveFail)};
    case TFO_COOKIE_CURRENT:
    case TFO_COOKIE_STAGED:
    case TFO_COOKIE_PREVIOUS:
    case TFO_COOKIE_RETIRED:
    case TFO_COOKIE_REVOKED:
    case TFO_COOKIE_INVALID:
      return {check(slot, kind, data)};
    case TFO_NO_KEY:
      return check_under_each(kind, data);
    default:
      return {};
  }
}

std::vector<std::string> server_notes(const OptionWalk& options) {
  constexpr uint8_t kMd5 = 19, kAuthentication = 29;
  constexpr uint32_t kShortestSignature = 5;  // what the kernel wants to see left, with TCP-AO
  std::vector<std::string> notes;
  for (const TcpOption& option : options.options) {
    const bool broken =
        option.effect == OptionEffect::kTooShort || option.effect == OptionEffect::kOverrun;
    if (!broken && option.bytes[0] == kMd5) {
      notes.push_back(
          "a SYN with a TCP-MD5 signature is dropped where no key is set for this client "
          "(tcp_inbound_hash())");
    } else if (!broken && option.bytes[0] == kAuthentication) {
      notes.push_back(
          "a SYN with a TCP-AO signature is dropped by kernels that have TCP-AO and no key for "
          "this "
          "client (tcp_inbound_hash())");
    } else if (broken && option.bytes.size() + options.rest.size() >= kShortestSignature) {
      notes.push_back(
          "options that break off make kernels from 6.7 on that have TCP-MD5 or TCP-AO drop the "
          "SYN "
          "(tcp_do_parse_auth_options())");
    }
  }
  return notes;
}

}  // namespace tfo
