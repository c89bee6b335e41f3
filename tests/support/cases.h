// SPDX-License-Identifier: BSD-2-Clause
// What the validator must say, packet by packet, as data. One function a behaviour; the unit tier
// runs all through the core compiled for the host, the bpf tier through the loaded program.
#pragma once

#include <ostream>

#include "tests/support/packet.h"
#include "tests/support/reference.h"

namespace tfo::test {

struct Case {
  std::string name;
  Packet packet;
  Verdict want;
  uint8_t decap = 0;  ///< TFO_DECAP_* of the interface; it is an L3 one if packet.link is absent
};
using Cases = std::vector<Case>;

void PrintTo(const Case& c, std::ostream* out);

/// What most cases show.
inline constexpr auto kSeen34 = TFO_OPTION_34;

/// The keys of pool 0. The world below says in what place.
inline constexpr const char* kCurrentKey = "00112233-44556677-8899aabb-ccddeeff";
inline constexpr const char* kPreviousKey = "0f1e2d3c-4b5a6978-8796a5b4-c3d2e1f0";
inline constexpr const char* kStagedKey = "a0bf63f7-ed803d81-cd641d30-cebc4a90";
inline constexpr const char* kRetiredKey = "11223344-55667788-99aabbcc-ddeeff01";
inline constexpr const char* kOlderKey = "21324354-65768798-a9bacbdc-edfe0f12";
inline constexpr const char* kExpiredKey = "31415926-53589793-23846264-33832795";
inline constexpr const char* kRevokedKey = "deadbeef-01234567-89abcdef-76543210";
inline constexpr const char* kStrangerKey = "5a5a5a5b-6b6b6b6c-7c7c7c7d-8d8d8d8e";

/// One address family's addresses in the world.
struct Side {
  const char* name;
  const char* client;
  const char* web;       ///< ports 80 and 443, slot 1, pool 0
  const char* any_port;  ///< any port: slot 2, pool 1; port 8443: slot 3, pool 2
  const char* no_keys;   ///< port 443, slot 4, pool 3: an empty ring
  const char* expired;   ///< port 443, slot 5, pool 4: every key past its time
  const char* full;      ///< port 443, slot 6, pool 5: 16 keys
  const char* revoked;   ///< port 443, slot 7, pool 255: a revoked key and no other
  const char* stranger;  ///< no VIP
};
inline constexpr std::array kSides = {
    Side{"v4", "10.88.0.9", "10.88.0.1", "10.88.0.2", "10.88.0.3", "10.88.0.4", "10.88.0.5",
         "10.88.0.6", "10.88.0.77"},
    Side{"v6", "fd88::9", "fd88::1", "fd88::2", "fd88::3", "fd88::4", "fd88::5", "fd88::6",
         "fd88::77"},
};

/// VIPs and pools that all cases and the random corpus are judged in.
World case_world();
/// The key in place `i` (0..15) of pool 5.
std::string full_ring_key(int i);
/// The cookie under this key for the packet's addresses.
Bytes cookie_of(const char* key, const Packet& packet);
/// A SYN from the side's client to its web VIP.
Packet web_syn(const Side& side);

/// That SYN with the right cookie: 32 bytes of TCP header; with 20 of data it is 52.
Packet cookie_syn(const Side& side, size_t data = 0);

/// Verdict of a packet that belongs to no VIP.
Verdict node(tfo_reason reason);
/// Verdict of a SYN to a VIP.
Verdict vip(tfo_reason reason, tfo_option_kind option = TFO_OPTION_NONE, bool data = false,
            uint16_t slot = 1);
/// Verdict of cookie_syn().
Verdict good_verdict(bool data = false);

Cases length_cases();     ///< every cookie length, both kinds, with data and without
Cases key_cases();        ///< every place in the ring, expiry, empty rings
Cases duplicate_cases();  ///< several Fast Open options in one SYN
Cases malformed_cases();  ///< options that end, overrun, or lie outside the header
Cases vip_cases();        ///< whose SYN it is
Cases flag_cases();       ///< every combination of the flags
Cases segment_cases();    ///< TCP headers that are short, long or cut
Cases link_cases();       ///< Ethernet, tags, L3 devices
Cases ipv4_cases();       ///< header lies, options, fragments
Cases ipv6_cases();       ///< extension headers, fragments
Cases tunnel_cases();     ///< IP in IP and GUE
Cases tunnel_fragment_cases();

struct CaseTable {
  const char* name;
  Cases (*make)();
};
extern const std::vector<CaseTable> kCaseTables;

void PrintTo(const CaseTable& table, std::ostream* out);

/// For failure logs: name, layers in words, hex dump.
std::string case_text(const Case& c);

}  // namespace tfo::test
