// SPDX-License-Identifier: BSD-2-Clause
// A second opinion on every frame, written from RFC 7413, RFC 791, RFC 8200 and the observed
// behaviour of tcp_parse_options() and tcp_try_fastopen(), sharing no code with bpf/: recursion
// over spans and tables here, a bounded walk over packet pointers there.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/support/bytes.h"
#include "tests/support/verdict.h"

namespace tfo::test {

using KeyBytes = std::array<uint8_t, 16>;

/// Key text as the sysctl has it, to bytes as the kernel stores them (sscanf_key() in
/// net/ipv4/sysctl_net_ipv4.c: each hex word little-endian).
KeyBytes key_bytes(const std::string& text);
/// What Linux mints for this pair (SipHash-2-4 over source and destination address), by OpenSSL.
std::array<uint8_t, 8> reference_cookie(const KeyBytes& key, const Address& source,
                                        const Address& destination);

struct WorldKey {
  std::string text;
  tfo_place place = TFO_PLACE_CURRENT;
  uint64_t not_after_ns = UINT64_MAX;
};

struct WorldVip {
  Address address;
  uint16_t port = 0;  ///< 0: any
  uint16_t slot = 1;
  uint16_t pool = 0;
  tfo_vip_mode mode = TFO_OBSERVE;
  bool renew = false;
  uint16_t canary = 0;  ///< of 10,000, in mode canary
  uint8_t flags = 0;    ///< TFO_VIP_* besides renew
  tfo_policy policy{};  ///< of its slot
};

/// What a pool's ring says of renewal; see struct tfo_ring.
struct WorldRenewal {
  uint16_t renew = 0;
  uint16_t target = 0;
  uint64_t until_ns = 0;
  uint32_t behind = 0;  ///< so many of the pool's last keys lie behind the ring's count
};

/// Everything that a verdict depends on besides the frame.
struct World {
  bool l3 = false;
  uint8_t decap = 0;  ///< TFO_DECAP_*
  uint16_t gue_port = 6080;
  bool partial = false;     ///< packets may come with unfinished checksums
  bool count_other = true;  ///< TFO_OTHER is counted; the verdict is the same
  uint64_t now_ns = 1'000'000'000;
  std::vector<WorldVip> vips;
  std::map<uint16_t, std::vector<WorldKey>> pools;  ///< keys in the order they are tried
  std::map<uint16_t, WorldRenewal> renewals;        ///< by pool; none: nothing is renewed
  std::map<uint16_t, uint64_t> fresh_until_ns;      ///< by pool; none: for ever
};

Verdict reference_verdict(View frame, const World& world);

/// tcp_parse_options() for Fast Open alone: where the kernel's parser ends.
struct FastOpenState {
  enum Kind { kNone, kRequest, kCookie } kind = kNone;
  bool experimental = false;  ///< of the last option that had an effect
  View cookie;
  tfo_option_kind last_seen = TFO_OPTION_NONE;
};
FastOpenState reference_options(View options);

}  // namespace tfo::test
