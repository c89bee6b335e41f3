// SPDX-License-Identifier: BSD-2-Clause
#include "loader/audit/verdict.h"

#include <fmt/format.h>

namespace tfo::audit {

const Generation* find_maker(const std::vector<Generation>& generations, const tfo_flow& flow,
                             const std::vector<uint8_t>& cookie) {
  if (cookie.size() != TFO_COOKIE_LEN) return nullptr;
  uint64_t wanted = 0;
  std::memcpy(&wanted, cookie.data(), sizeof(wanted));
  for (const Generation& one : generations) {
    if (tfo_make_cookie(one.key.k0(), one.key.k1(), &flow) == wanted) return &one;
  }
  return nullptr;
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::current:
      return "current";
    case Verdict::previous:
      return "previous";
    case Verdict::staged:
      return "staged";
    case Verdict::retired:
      return "retired";
    case Verdict::revoked:
      return "revoked";
    case Verdict::foreign:
      return "private";
    case Verdict::length:
      return "cookie_length";
    case Verdict::off:
      return "off";
    case Verdict::closed:
      return "closed";
    case Verdict::unreachable:
      return "unreachable";
    case Verdict::no_answer:
      break;
  }
  return "no_answer";
}

namespace {

Verdict verdict_of_place(tfo_place place) {
  switch (place) {
    case TFO_PLACE_CURRENT:
      return Verdict::current;
    case TFO_PLACE_PREVIOUS:
      return Verdict::previous;
    case TFO_PLACE_STAGED:
      return Verdict::staged;
    case TFO_PLACE_RETIRED:
      return Verdict::retired;
    case TFO_PLACE_REVOKED:
      break;
  }
  return Verdict::revoked;
}

}  // namespace

Verdict verdict_of(const Answer& answer, const std::optional<KeyName>& maker) {
  switch (answer.outcome) {
    case Outcome::no_cookie:
      return Verdict::off;
    case Outcome::closed:
      return Verdict::closed;
    case Outcome::unreachable:
      return Verdict::unreachable;
    case Outcome::silent:
      return Verdict::no_answer;
    case Outcome::cookie:
      break;
  }
  if (answer.cookie.size() != TFO_COOKIE_LEN) return Verdict::length;
  return maker ? verdict_of_place(maker->place) : Verdict::foreign;
}

bool is_stale(Verdict verdict, bool others_current) {
  return others_current && (verdict == Verdict::previous || verdict == Verdict::retired ||
                            verdict == Verdict::revoked);
}

std::string short_meaning(Verdict verdict, const Answer& answer, bool others_current) {
  if (is_stale(verdict, others_current)) return "stale: others mint with the current key";
  switch (verdict) {
    case Verdict::current:
      return "in step";
    case Verdict::previous:
      return "behind: the current key is newer";
    case Verdict::staged:
      return "ahead: mints with the key that is to come";
    case Verdict::retired:
      return "behind: a key that servers no longer hold";
    case Verdict::revoked:
      return "behind: a key that was revoked";
    case Verdict::foreign:
      return "no key of the pool made its cookie";
    case Verdict::length:
      return fmt::format("a cookie of {} bytes: no Linux server", answer.cookie.size());
    case Verdict::off:
      return "SYN-ACK without a cookie";
    case Verdict::closed:
      return "RST: nobody listens on that port";
    case Verdict::unreachable:
      return answer.detail;
    case Verdict::no_answer:
      break;
  }
  return fmt::format("{} SYN{}, no answer", answer.sent, answer.sent == 1 ? "" : "s");
}

std::string long_meaning(Verdict verdict) {
  switch (verdict) {
    case Verdict::foreign:
      return "a key of the listener's own (TCP_FASTOPEN_KEY), or another key in that namespace's "
             "tcp_fastopen_key: from outside the two look the same. So does a device on the way "
             "that translates addresses or answers SYNs itself";
    case Verdict::off:
      return "Fast Open is off for the listener (TCP_FASTOPEN) or in tcp_fastopen (bit 0x2), or "
             "takes data without cookies (0x200); or, for the moment, its Fast Open queue is full "
             "or it sends SYN cookies; or the option is removed on the way";
    case Verdict::no_answer:
      return "down, filtered, the next hop does not hold the VIP, or the answer does not come "
             "back to this host: what the server sends to the source must arrive here";
    default:
      return "";
  }
}

}  // namespace tfo::audit
