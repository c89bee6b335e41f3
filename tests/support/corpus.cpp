// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/corpus.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace tfo::test {
namespace {

constexpr std::array kOuterAddresses = {std::array{"192.0.2.1", "192.0.2.2"},
                                        std::array{"2001:db8::1", "2001:db8::2"}};

const char* random_destination(Random& random, const Side& side) {
  const std::array wanted = {side.web,     side.web,  side.web,      side.web,
                             side.web,     side.web,  side.any_port, side.no_keys,
                             side.expired, side.full, side.revoked,  side.stranger};
  return random.pick(wanted);
}

void random_ports(Random& random, Packet& packet) {
  static constexpr std::array<uint16_t, 16> kPorts = {443, 443, 443, 443, 443, 443, 443,  443,
                                                      443, 443, 443, 443, 443, 80,  8443, 81};
  packet.ports(static_cast<uint16_t>(1 + random.below(65535)), random.pick(kPorts));
}

void random_tcp(Random& random, Packet& packet) {
  static constexpr std::array<size_t, 8> kSizes = {0, 0, 0, 1, 20, 40, 536, 1400};
  packet.data(random.one_in(6) ? random_options(random, packet) : pattern(random.pick(kSizes)));
  packet.option(random_options(random, packet));
  if (random.one_in(8)) packet.tcp.flags |= random.byte() & (kPsh | kUrg | kEce | kCwr);
  if (random.one_in(12)) packet.tcp.flags = kSyn | kAck;
  if (random.one_in(16)) packet.tcp.flags = random.byte();
  if (random.one_in(24)) packet.doff(static_cast<uint8_t>(random.below(16)));
  if (random.one_in(24)) packet.cut_tcp(random.below(60));
  if (random.one_in(40)) packet.tcp.reserved = random.byte();
}

Fragment random_fragment(Random& random) {
  Fragment fragment;
  if (random.one_in(3)) fragment.first = 8 * random.below(12);
  if (!random.one_in(3)) fragment.last = fragment.first + 8 * (1 + random.below(12));
  fragment.more = random.one_in(4);
  return fragment;
}

Extension random_extension(Random& random, bool first) {
  static constexpr std::array<uint8_t, 9> kKinds = {60, 60, 60, 43, 43, 44, 44, 0, 51};
  Extension extension;
  extension.kind = first && random.one_in(3) ? kHopByHop : random.pick(kKinds);
  extension.fragment = random_fragment(random);
  const size_t units = 1 + (random.one_in(6) ? random.below(40) : random.below(2));
  extension.body = Bytes(units * 8 - 1);
  extension.body[0] = static_cast<uint8_t>(units - 1);
  if (random.one_in(12)) extension.body[0] = random.byte();
  if (random.one_in(12)) extension.body[2] = random.byte();
  return extension;
}

void random_ip_lies(Random& random, IpLayer& ip) {
  if (random.one_in(40)) ip.version = static_cast<uint8_t>(random.below(16));
  if (random.one_in(40)) ip.header_words = static_cast<uint8_t>(random.below(16));
  if (random.one_in(30)) ip.protocol = random.one_in(2) ? random.byte() : uint8_t{17};
  if (random.one_in(40)) ip.length = static_cast<uint16_t>(random.below(200));
  if (random.one_in(200)) ip.length = static_cast<uint16_t>(random.below(65536));
}

void random_ip(Random& random, IpLayer& ip) {
  if (ip.destination.v6) {
    const size_t headers = random.one_in(4) ? 1 + random.below(random.one_in(8) ? 10 : 3) : 0;
    for (size_t i = 0; i < headers; i++) ip.extensions.push_back(random_extension(random, i == 0));
  } else {
    if (random.one_in(8)) ip.options = Bytes(4 * random.below(11), random.byte());
    if (random.one_in(12)) ip.fragment = random_fragment(random);
    if (random.one_in(4)) ip.flags = random.one_in(2) ? 0x4000 : 0x8000;
  }
  random_ip_lies(random, ip);
}

void random_tunnel(Random& random, Packet& packet) {
  const auto& [source, destination] = random.pick(kOuterAddresses);
  if (random.one_in(2)) {
    packet.in_ip(source, destination);
  } else {
    packet.in_gue(source, destination, static_cast<uint8_t>(random.below(2)),
                  static_cast<uint8_t>(random.one_in(2) ? 0 : random.below(32)));
  }
  TunnelLayer& tunnel = *packet.tunnel;
  if (random.one_in(20)) tunnel.port = static_cast<uint16_t>(6070 + random.below(20));
  if (random.one_in(30)) tunnel.control = true;
  if (random.one_in(30)) tunnel.first_byte = random.byte();
  if (random.one_in(30)) tunnel.protocol = random.byte();
  if (random.one_in(30)) tunnel.cut = random.below(40);
  random_ip(random, tunnel.ip);
}

void random_link(Random& random, Packet& packet) {
  if (random.one_in(10)) packet.l3();
  while (random.one_in(6)) packet.tag(random.one_in(2) ? kVlan : kQinQ, random.byte());
  if (random.one_in(80)) packet.link.ethertype = static_cast<uint16_t>(random.below(65536));
  if (random.one_in(5)) {
    packet.trailer(random.one_in(2) ? random.bytes(random.below(60))
                                    : random_options(random, packet));
  }
  if (random.one_in(40)) packet.cut_frame(random.below(60));
}

/// Changes a few bytes among the headers.
void damage(Random& random, Bytes& frame) {
  const size_t headers = std::min<size_t>(frame.size(), 140);
  for (uint64_t left = 1 + random.below(3); left != 0; left--) {
    uint8_t& byte = frame[random.below(headers)];
    byte = random.one_in(2) ? random.byte() : static_cast<uint8_t>(byte ^ (1 << random.below(8)));
  }
}

}  // namespace

Bytes Random::bytes(size_t count) {
  Bytes out(count);
  for (uint8_t& b : out) b = byte();
  return out;
}

Sample Corpus::next() {
  const Side& side = random_.pick(kSides);
  Sample sample;
  Packet& packet = sample.packet;
  packet = Packet::syn(side.client, random_destination(random_, side));
  if (random_.one_in(4)) packet.ip.source.bytes[side.client[0] == 'f' ? 15 : 3] = random_.byte();
  random_ports(random_, packet);
  random_tcp(random_, packet);
  if (random_.one_in(2)) random_ip(random_, packet.ip);
  if (random_.one_in(5)) random_tunnel(random_, packet);
  if (random_.one_in(2)) random_link(random_, packet);
  sample.l3 = !packet.link.present;
  const bool tunnel = packet.tunnel.has_value();
  sample.decap = static_cast<uint8_t>(tunnel && !random_.one_in(8) ? 3 : random_.below(4));
  sample.frame = packet.frame();
  // BPF_PROG_TEST_RUN takes no frame that is shorter than an Ethernet header.
  if (sample.frame.size() < 14) sample.frame.resize(14);
  if (random_.one_in(8)) damage(random_, sample.frame);
  return sample;
}

std::string sample_text(const Sample& sample) {
  return fmt::format("l3={} decap={}\n{}\n(as built, if no bytes were changed)\n{}", sample.l3,
                     sample.decap, sample.packet.text(), hex_dump(sample.frame));
}

uint64_t corpus_seed() {
  const char* text = std::getenv("TFO_CORPUS_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 0) : std::random_device{}();
}

size_t corpus_count(size_t usual) {
  const char* text = std::getenv("TFO_CORPUS_COUNT");
  return text != nullptr ? std::strtoull(text, nullptr, 0) : usual;
}

uint64_t ReasonCounts::of(tfo_reason reason) const {
  const auto it = counts_.find(reason);
  return it == counts_.end() ? 0 : it->second;
}

std::string ReasonCounts::text() const {
  std::string text;
#define TFO_COUNT_LINE(id, name, label, sentence) \
  text += fmt::format("  {:<18}{:>9}\n", label, of(TFO_##name));
  TFO_REASONS(TFO_COUNT_LINE)
#undef TFO_COUNT_LINE
  return text;
}

bool ReasonCounts::all_at_least(uint64_t count) const {
  for (int id = 0; id < TFO_REASON_COUNT; id++) {
    const auto reason = static_cast<tfo_reason>(id);
    if (reason != TFO_INTERNAL_ERROR && of(reason) < count) return false;
  }
  return true;
}

}  // namespace tfo::test
