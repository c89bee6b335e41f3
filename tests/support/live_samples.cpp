// SPDX-License-Identifier: BSD-2-Clause
#include <fmt/format.h>

#include <algorithm>

#include "tests/support/live_effect.h"

namespace tfo::test {
namespace {

bool is_first_of_more(const Fragment& fragment) {
  return fragment.first == 0 && (fragment.last != SIZE_MAX || fragment.more);
}

/// First fragments alone never reach a listener; what they would become is tested in pairs.
bool has_first_fragment(const IpLayer& ip) {
  return (ip.fragment && is_first_of_more(*ip.fragment)) ||
         std::ranges::any_of(ip.extensions, [](const Extension& extension) {
           return extension.kind == kFragmentHeader && is_first_of_more(extension.fragment);
         });
}

/// ip6_parse_tlv() takes no more than 7 bytes of padding options in a row.
bool has_long_padding(const IpLayer& ip) {
  return std::ranges::any_of(ip.extensions,
                             [](const Extension& extension) { return extension.body.size() > 7; });
}

bool goes_to(const Packet& packet, bool no_keys) {
  return std::ranges::any_of(kSides, [&](const Side& side) {
    return packet.ip.destination == Address::of(no_keys ? side.no_keys : side.web);
  });
}

/// The server would take the cookie, though the validator has no key to know it.
bool is_servers_own(const Case& c) {
  return c.want.reason == TFO_NO_KEY && c.name.starts_with("expired cookie");
}

bool is_live(const Case& c) {
  constexpr size_t kLongestFrame = 1514;  // of a veth as it is made
  const Packet& packet = c.packet;
  if (packet.frame().size() > kLongestFrame) return false;
  if (!packet.link.present || !packet.link.tags.empty() || packet.tunnel) return false;
  if (!goes_to(packet, false) && !goes_to(packet, true)) return false;
  if (has_first_fragment(packet.ip) || has_long_padding(packet.ip) || is_servers_own(c)) {
    return false;
  }
  return c.want.slot == TFO_NODE_SLOT || packet.tcp.destination == 443;
}

const char* random_key(Random& random) {
  static constexpr std::array kKeys = {kCurrentKey, kPreviousKey, kStagedKey,  kRetiredKey,
                                       kOlderKey,   kRevokedKey,  kExpiredKey, kStrangerKey};
  return random.pick(kKeys);
}

Bytes live_options(Random& random, const Packet& packet) {
  if (goes_to(packet, true)) {
    return random.one_in(2) ? fast_open(random.bytes(8)) : fast_open_experimental(random.bytes(8));
  }
  if (random.one_in(2)) return random_options(random, packet);
  const Bytes cookie = cookie_of(random_key(random), packet);
  return random.one_in(3) ? fast_open_experimental(cookie) : fast_open(cookie);
}

void random_headers(Random& random, Packet& packet) {
  if (!packet.ip.destination.v6) {
    if (random.one_in(6)) packet.ip_options(Bytes(4 * (1 + random.below(10)), 1));
    if (random.one_in(6)) packet.ip.flags = 0x4000;
    return;
  }
  if (!random.one_in(4)) return;
  if (random.one_in(2)) packet.extension(kHopByHop);
  for (uint64_t left = random.below(3); left != 0; left--) {
    switch (random.below(3)) {
      case 0:
        packet.extension(kDestinationOptions);
        break;
      case 1:
        packet.extension(kRouting, Bytes{0, 0, static_cast<uint8_t>(random.one_in(8)), 0, 0, 0, 0});
        break;
      default:
        packet.fragment(0);
    }
  }
}

}  // namespace

void LiveSamples::make_unique(Packet& packet) {
  packet.tcp.source = ++port_;
  packet.ip.id = port_;
  packet.tcp.sequence = static_cast<uint32_t>(random_.below(UINT32_MAX));
  farm_.address(packet);
}

LiveSample LiveSamples::single(std::string name, const Packet& built) {
  LiveSample sample{std::move(name), built, {}, {}, TFO_NOT_TCP};
  make_unique(sample.packet);
  Bytes frame = sample.packet.frame();
  fix_checksums(frame);
  sample.want = {comparable(reference_verdict(frame, case_world()))};
  sample.syn = sample.want[0].reason;
  sample.frames = {std::move(frame)};
  return sample;
}

std::vector<LiveSample> LiveSamples::of_tables() {
  std::vector<LiveSample> samples;
  for (const CaseTable& table : kCaseTables) {
    for (const Case& c : table.make()) {
      if (is_live(c)) samples.push_back(single(std::string(table.name) + ": " + c.name, c.packet));
    }
  }
  return samples;
}

LiveSample LiveSamples::any() {
  static constexpr std::array<size_t, 7> kSizes = {0, 0, 1, 20, 40, 536, 1300};
  const Side& side = random_.pick(kSides);
  Packet packet = Packet::syn(side.client, random_.one_in(12) ? side.no_keys : side.web);
  packet.option(live_options(random_, packet)).data(random_.pick(kSizes));
  if (random_.one_in(10)) packet.data(random_options(random_, packet));
  if (random_.one_in(8)) packet.tcp.flags |= random_.byte() & (kPsh | kUrg | kEce | kCwr);
  if (random_.one_in(20)) packet.tcp.flags = kSyn | kAck;
  if (random_.one_in(20)) packet.tcp.flags = random_.byte();
  if (random_.one_in(20)) packet.doff(static_cast<uint8_t>(random_.below(16)));
  if (random_.one_in(16)) packet.cut_tcp(1 + random_.below(50));
  if (random_.one_in(16)) packet.ports(1, 81);
  if (random_.one_in(4)) {
    packet.trailer(random_.one_in(2) ? random_.bytes(random_.below(60))
                                     : random_options(random_, packet));
  }
  random_headers(random_, packet);
  return is_signed(options_of(packet)) ? any() : single("random", packet);
}

LiveSample LiveSamples::fragments() {
  const Side& side = random_.pick(kSides);
  Packet packet = web_syn(side);
  packet.option(live_options(random_, packet)).data(64 + random_.below(400));
  if (is_signed(options_of(packet))) return fragments();
  LiveSample sample{"fragments", packet, {}, {}, TFO_NOT_TCP};
  make_unique(sample.packet);
  const size_t first = 64 + 8 * random_.below(6);
  sample.frames = {Packet(sample.packet).fragment(0, first).frame(),
                   Packet(sample.packet).fragment(first).frame()};
  for (const Bytes& frame : sample.frames) {
    sample.want.push_back(comparable(reference_verdict(frame, case_world())));
  }
  sample.syn = sample.want[0].reason;
  return sample;
}

}  // namespace tfo::test
