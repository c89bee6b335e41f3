// SPDX-License-Identifier: BSD-2-Clause
#include "loader/replay/verdict_rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace tfo {
namespace {

const KeyTrial* matched(const std::vector<KeyTrial>& keys) {
  const auto found = std::ranges::find(keys, KeyResult::kMatch, &KeyTrial::result);
  return found == keys.end() ? nullptr : &*found;
}

std::string match_rule(const std::vector<KeyTrial>& keys) {
  const KeyTrial* key = matched(keys);
  if (key == nullptr) return "";
  std::string rule = fmt::format(
      "SipHash-2-4 of both addresses under key {} gives this cookie "
      "(tcp_fastopen_cookie_gen_check()); ",
      key->number);
  if (key->place == TFO_PLACE_REVOKED) return rule + "the key was revoked and is never accepted";
  switch (key->slot) {
    case ServerSlot::kPrimary:
      return rule + "the servers mint and accept with this key";
    case ServerSlot::kBackup:
      return rule + "the servers have this key second, which accepts and does not mint";
    case ServerSlot::kNone:
      break;
  }
  return rule + "the servers have only two keys, and this is neither of them";
}

std::string invalid_rule(const std::vector<KeyTrial>& keys) {
  const auto expired = std::ranges::count(keys, KeyResult::kExpired, &KeyTrial::result);
  const auto tried = static_cast<long>(keys.size()) - expired;
  std::string rule =
      tried == 1 ? std::string("The only key") : fmt::format("None of the {} keys", tried);
  if (expired != 0) rule += tried == 1 ? " that has not expired" : " that have not expired";
  rule += tried == 1 ? " does not give" : " gives";
  return rule + " this cookie for these two addresses (tcp_fastopen_cookie_gen_check())";
}

std::string no_key_rule(const std::vector<KeyTrial>& keys) {
  if (keys.empty()) return "There is no key to check the cookie with";
  return fmt::format("All {} of the pool's keys have expired, so that there is none to check with",
                     keys.size());
}

std::string length_rule(const OptionWalk& options) {
  return fmt::format(
      "{} bytes are a legal length (RFC 7413 section 4.1.1), but Linux mints and accepts 8 and no "
      "other (tcp_fastopen_cookie_gen_check())",
      options.cookie().size());
}

std::string ignored_rule(const OptionWalk& options) {
  const bool erased =
      std::ranges::count(options.options, OptionEffect::kIllegal, &TcpOption::effect) != 0;
  return erased ? "A Fast Open option of illegal length leaves none behind "
                  "(tcp_parse_fastopen_option(), RFC 7413 section 4.1.1): an ordinary SYN"
                : "A Fast Open option of odd length is as none at all "
                  "(tcp_parse_fastopen_option(), RFC 7413 section 4.1.1): an ordinary SYN";
}

}  // namespace

ServerSlot matched_slot(const std::vector<KeyTrial>& keys) {
  const KeyTrial* key = matched(keys);
  return key == nullptr ? ServerSlot::kNone : key->slot;
}

std::string no_vip_rule(const Headers& headers) {
  return fmt::format("No VIP has the address {} with port {}, or with any port",
                     headers.ip.back().destination,
                     headers.tcp ? headers.tcp->destination_port : 0);
}

std::string syn_rule(tfo_reason reason, const OptionWalk& options,
                     const std::vector<KeyTrial>& keys) {
  switch (reason) {
    case TFO_PLAIN:
      return "Neither a Fast Open option nor data: an ordinary handshake";
    case TFO_DATA_NO_OPTION:
      return "Data, and no Fast Open option that would have it accepted before the handshake is "
             "over (tcp_try_fastopen(), RFC 7413 section 4.2.2)";
    case TFO_REQUEST:
      return "An empty Fast Open option asks for a cookie (RFC 7413 section 4.2.1)";
    case TFO_COOKIE_LENGTH:
      return length_rule(options);
    case TFO_OPTION_IGNORED:
      return ignored_rule(options);
    case TFO_COOKIE_INVALID:
      return invalid_rule(keys);
    case TFO_NO_KEY:
      return no_key_rule(keys);
    default:
      return match_rule(keys);
  }
}

}  // namespace tfo
