// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/reference.h"

#include <algorithm>

#include "tests/support/reference_ip.h"

namespace tfo::test {
namespace {

constexpr uint8_t kFlagMask = 0x17;  // ACK, RST, SYN, FIN: PSH, URG, ECE and CWR never matter

FastOpenState apply(const FastOpenState& before, View cookie, bool experimental) {
  FastOpenState after = before;
  after.last_seen = experimental ? TFO_OPTION_254 : TFO_OPTION_34;
  const size_t n = cookie.size();
  if (n % 2 == 1) return after;
  after.experimental = experimental;
  after.cookie = {};
  if (n == 0) {
    after.kind = FastOpenState::kRequest;
  } else if (n >= 4 && n <= 16) {
    after.kind = FastOpenState::kCookie;
    after.cookie = cookie;
  } else {
    after.kind = FastOpenState::kNone;
  }
  return after;
}

FastOpenState one_option(const FastOpenState& state, View option) {
  const bool magic = option.size() >= 4 && option[2] == 0xf9 && option[3] == 0x89;
  if (option[0] == 34) return apply(state, option.subspan(2), false);
  if (option[0] == 254 && magic) return apply(state, option.subspan(4), true);
  return state;
}

FastOpenState walk(const FastOpenState& state, View rest) {
  if (rest.empty() || rest[0] == 0) return state;
  if (rest[0] == 1) return walk(state, rest.subspan(1));
  if (rest.size() < 2 || rest[1] < 2 || rest[1] > rest.size()) return state;
  return walk(one_option(state, rest.first(rest[1])), rest.subspan(rest[1]));
}

const WorldVip* find_vip(const World& world, View destination, uint16_t port) {
  const auto matches = [&](uint16_t wanted) {
    return [&, wanted](const WorldVip& vip) {
      return std::ranges::equal(vip.address.wire(), destination) && vip.port == wanted;
    };
  };
  for (uint16_t wanted : {port, uint16_t{0}}) {
    const auto it = std::ranges::find_if(world.vips, matches(wanted));
    if (it != world.vips.end()) return &*it;
  }
  return nullptr;
}

Address address_of(View wire) {
  Address address;
  address.v6 = wire.size() == 16;
  std::ranges::copy(wire, address.bytes.begin());
  return address;
}

tfo_reason by_place(tfo_place place) {
  static const std::map<tfo_place, tfo_reason> kReasons = {
      {TFO_PLACE_CURRENT, TFO_COOKIE_CURRENT}, {TFO_PLACE_PREVIOUS, TFO_COOKIE_PREVIOUS},
      {TFO_PLACE_STAGED, TFO_COOKIE_STAGED},   {TFO_PLACE_RETIRED, TFO_COOKIE_RETIRED},
      {TFO_PLACE_REVOKED, TFO_COOKIE_REVOKED},
  };
  return kReasons.at(place);
}

tfo_reason judge_cookie(View cookie, const TcpSegment& segment, const World& world, uint16_t pool) {
  if (cookie.size() != TFO_COOKIE_LEN) return TFO_COOKIE_LENGTH;
  const auto ring = world.pools.find(pool);
  std::vector<WorldKey> live;
  if (ring != world.pools.end()) {
    std::ranges::copy_if(ring->second, std::back_inserter(live),
                         [&](const WorldKey& key) { return key.not_after_ns >= world.now_ns; });
  }
  if (live.empty()) return TFO_NO_KEY;
  const Address source = address_of(segment.source);
  const Address destination = address_of(segment.destination);
  const auto hit = std::ranges::find_if(live, [&](const WorldKey& key) {
    return std::ranges::equal(reference_cookie(key_bytes(key.text), source, destination), cookie);
  });
  return hit == live.end() ? TFO_COOKIE_INVALID : by_place(hit->place);
}

tfo_reason judge_syn(const FastOpenState& state, bool data, const TcpSegment& segment,
                     const World& world, uint16_t pool) {
  switch (state.kind) {
    case FastOpenState::kRequest:
      return TFO_REQUEST;
    case FastOpenState::kCookie:
      return judge_cookie(state.cookie, segment, world, pool);
    case FastOpenState::kNone:
      break;
  }
  if (state.last_seen != TFO_OPTION_NONE) return TFO_OPTION_IGNORED;
  return data ? TFO_DATA_NO_OPTION : TFO_PLAIN;
}

Verdict judge_segment(const TcpSegment& segment, const World& world) {
  const View tcp = segment.bytes;
  if (tcp.size() < (segment.more ? 8U : 14U)) return {TFO_NOT_TCP};
  if (tcp.size() < 20) return {TFO_TRUNCATED};
  const size_t header = static_cast<size_t>(tcp[12] >> 4) * 4;
  if (header > tcp.size()) return {TFO_TRUNCATED};
  if (header < 20) return {TFO_OTHER};
  const int flags = tcp[13] & kFlagMask;
  if (flags == 0x12) return {TFO_SYN_ACK};
  if (flags != 0x02) return {TFO_OTHER};
  const WorldVip* vip =
      find_vip(world, segment.destination, static_cast<uint16_t>(tcp[2] << 8 | tcp[3]));
  if (vip == nullptr) return {TFO_NOT_VIP};
  const FastOpenState state = reference_options(tcp.subspan(20, header - 20));
  const bool data = tcp.size() > header || segment.more;
  return {judge_syn(state, data, segment, world, vip->pool), state.last_seen, data, vip->slot};
}

}  // namespace

FastOpenState reference_options(View options) { return walk({}, options); }

Verdict reference_verdict(View frame, const World& world) {
  const Found found = find_segment(frame, world);
  return found ? judge_segment(*found, world) : Verdict{found.error()};
}

}  // namespace tfo::test
