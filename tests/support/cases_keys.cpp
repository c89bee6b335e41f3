// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include "tests/support/cases.h"

namespace tfo::test {
namespace {

struct Place {
  const char* name;
  const char* key;
  tfo_reason reason;
};
constexpr std::array kPlaces = {
    Place{"current", kCurrentKey, TFO_COOKIE_CURRENT},
    Place{"previous, not_after now, standing twice", kPreviousKey, TFO_COOKIE_PREVIOUS},
    Place{"staged", kStagedKey, TFO_COOKIE_STAGED},
    Place{"retired", kRetiredKey, TFO_COOKIE_RETIRED},
    Place{"older retired", kOlderKey, TFO_COOKIE_RETIRED},
    Place{"revoked", kRevokedKey, TFO_COOKIE_REVOKED},
    Place{"expired", kExpiredKey, TFO_COOKIE_INVALID},
    Place{"of no key", kStrangerKey, TFO_COOKIE_INVALID},
};

void add_places(Cases& cases, const Side& side) {
  for (const Place& place : kPlaces) {
    for (size_t data : {0, 1, 1400}) {
      const Packet syn = web_syn(side).data(data);
      const Bytes cookie = cookie_of(place.key, syn);
      const std::string name = fmt::format("cookie {} {} data {}", place.name, side.name, data);
      cases.push_back({"34 " + name, Packet(syn).option(fast_open(cookie)),
                       vip(place.reason, kSeen34, data != 0)});
      cases.push_back({"254 " + name, Packet(syn).option(fast_open_experimental(cookie)),
                       vip(place.reason, TFO_OPTION_254, data != 0)});
    }
  }
}

/// Cookies that are nearly right.
void add_near_misses(Cases& cases, const Side& side) {
  const Packet syn = web_syn(side);
  const Bytes right = cookie_of(kCurrentKey, syn);
  for (size_t bit = 0; bit < 64; bit++) {
    Bytes cookie = right;
    cookie[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    cases.push_back({fmt::format("bit {} of the cookie wrong {}", bit, side.name),
                     Packet(syn).option(fast_open(cookie)), vip(TFO_COOKIE_INVALID, kSeen34)});
  }
  const Packet back = Packet::syn(side.web, side.client);
  const Bytes reversed(right.rbegin(), right.rend());
  cases.push_back({fmt::format("cookie bytes reversed {}", side.name),
                   Packet(syn).option(fast_open(reversed)), vip(TFO_COOKIE_INVALID, kSeen34)});
  cases.push_back({fmt::format("cookie of the way back {}", side.name),
                   Packet(syn).option(fast_open(cookie_of(kCurrentKey, back))),
                   vip(TFO_COOKIE_INVALID, kSeen34)});
  const Side& other = side.web == kSides[0].web ? kSides[1] : kSides[0];
  cases.push_back({fmt::format("cookie of the other family {}", side.name),
                   Packet(syn).option(fast_open(cookie_of(kCurrentKey, web_syn(other)))),
                   vip(TFO_COOKIE_INVALID, kSeen34)});
  cases.push_back({fmt::format("a cookie holds for every port {}", side.name),
                   Packet(syn).ports(1, 80).option(fast_open(right)),
                   vip(TFO_COOKIE_CURRENT, kSeen34)});
}

/// One SYN with `option` to `address`, port 443.
void add_to(Cases& cases, const std::string& name, const Side& side, const char* address,
            const Bytes& option, const Verdict& want) {
  cases.push_back({fmt::format("{} {}", name, side.name),
                   Packet::syn(side.client, address).option(option), want});
}

void add_odd_rings(Cases& cases, const Side& side) {
  const Bytes cookie(8, 0x5a);
  struct Ring {
    const char* name;
    const char* address;
    uint16_t slot;
  };
  for (const Ring& ring :
       {Ring{"empty ring", side.no_keys, 4}, {"expired ring", side.expired, 5}}) {
    const auto to = [&](const char* what, const Bytes& option, tfo_reason reason) {
      add_to(cases, fmt::format("{} {}", what, ring.name), side, ring.address, option,
             vip(reason, kSeen34, false, ring.slot));
    };
    to("8 bytes", fast_open(cookie), TFO_NO_KEY);
    to("expired cookie", fast_open(cookie_of(kCurrentKey, Packet::syn(side.client, ring.address))),
       TFO_NO_KEY);
    to("request", fast_open(), TFO_REQUEST);
    to("6 bytes", fast_open(View(cookie).first(6)), TFO_COOKIE_LENGTH);
    to("5 bytes", fast_open(View(cookie).first(5)), TFO_OPTION_IGNORED);
  }
  add_to(cases, "revoked key and no other", side, side.revoked,
         fast_open(cookie_of(kRevokedKey, Packet::syn(side.client, side.revoked))),
         vip(TFO_COOKIE_REVOKED, kSeen34, false, 7));
  add_to(cases, "another cookie where all is revoked", side, side.revoked, fast_open(cookie),
         vip(TFO_COOKIE_INVALID, kSeen34, false, 7));
}

void add_full_ring(Cases& cases, const Side& side) {
  for (int i = 0; i < TFO_MAX_GENERATIONS; i++) {
    const tfo_reason reason = i == 0    ? TFO_COOKIE_CURRENT
                              : i == 1  ? TFO_COOKIE_PREVIOUS
                              : i == 2  ? TFO_COOKIE_STAGED
                              : i == 15 ? TFO_COOKIE_REVOKED
                                        : TFO_COOKIE_RETIRED;
    const Packet syn = Packet::syn(side.client, side.full);
    add_to(cases, fmt::format("key {} of 16", i), side, side.full,
           fast_open(cookie_of(full_ring_key(i).c_str(), syn)), vip(reason, kSeen34, false, 6));
  }
  add_to(cases, "none of 16 keys", side, side.full, fast_open(Bytes(8, 1)),
         vip(TFO_COOKIE_INVALID, kSeen34, false, 6));
}

}  // namespace

Cases key_cases() {
  Cases cases;
  for (const Side& side : kSides) {
    add_places(cases, side);
    add_near_misses(cases, side);
    add_odd_rings(cases, side);
    add_full_ring(cases, side);
  }
  return cases;
}

Cases vip_cases() {
  Cases cases;
  for (const Side& side : kSides) {
    const auto add = [&](const char* name, const char* address, uint16_t port, const char* key,
                         const Verdict& want) {
      Packet syn = Packet::syn(side.client, address).ports(40000, port).data(5);
      if (key != nullptr) syn.option(fast_open(cookie_of(key, syn)));
      cases.push_back({fmt::format("{} {}", name, side.name), syn, want});
    };
    add("web, 443", side.web, 443, nullptr, vip(TFO_DATA_NO_OPTION, {}, true));
    add("web, 80", side.web, 80, nullptr, vip(TFO_DATA_NO_OPTION, {}, true));
    add("web, another port", side.web, 81, kCurrentKey, node(TFO_NOT_VIP));
    add("web, port 0", side.web, 0, kCurrentKey, node(TFO_NOT_VIP));
    add("no VIP", side.stranger, 443, kCurrentKey, node(TFO_NOT_VIP));
    add("no VIP, no option", side.stranger, 443, nullptr, node(TFO_NOT_VIP));
    add("any port, 1", side.any_port, 1, kStagedKey, vip(TFO_COOKIE_CURRENT, kSeen34, true, 2));
    add("any port, 65535", side.any_port, 65535, kStagedKey,
        vip(TFO_COOKIE_CURRENT, kSeen34, true, 2));
    add("any port, key of another pool", side.any_port, 443, kCurrentKey,
        vip(TFO_COOKIE_INVALID, kSeen34, true, 2));
    add("its own port goes first", side.any_port, 8443, kRetiredKey,
        vip(TFO_COOKIE_CURRENT, kSeen34, true, 3));
    add("its own port's pool", side.any_port, 8443, kStagedKey,
        vip(TFO_COOKIE_PREVIOUS, kSeen34, true, 3));
    if (side.name == std::string_view("v6")) {
      // A mapped address in an IPv6 header is not the IPv4 VIP.
      add("mapped IPv4 VIP", "::ffff:10.88.0.1", 443, kCurrentKey, node(TFO_NOT_VIP));
    }
    add("the port's bytes swapped", side.any_port, 0xfb20, kStagedKey,
        vip(TFO_COOKIE_CURRENT, kSeen34, true, 2));
  }
  return cases;
}

}  // namespace tfo::test
