// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/capture_sample.h"

#include <algorithm>
#include <array>

namespace tfo::test {
namespace {

constexpr uint32_t kLinkUser0 = 147;  // reserved for private use
constexpr std::array kAllLinkTypes = {kLinkEthernet, kLinkEthernet, kLinkNull, kLinkLoop,
                                      kLinkRaw,      12u,           14u,       kLinkCooked,
                                      kLinkCooked2,  kLinkIpv4,     kLinkIpv6, kLinkUser0};
constexpr uint64_t kFirstSecond = 1'790'000'000;

struct Split {
  uint16_t ethertype = 0;
  Bytes payload;
};

Split split(const Sample& sample) {
  const Bytes& frame = sample.frame;
  if (sample.l3) {
    const int version = frame.empty() ? 0 : frame[0] >> 4;
    const uint16_t type = version == 4 ? 0x0800 : version == 6 ? 0x86dd : 0;
    return {type, frame};
  }
  if (frame.size() < 14) return {};
  return {static_cast<uint16_t>(frame[12] << 8 | frame[13]),
          Bytes(frame.begin() + 14, frame.end())};
}

uint32_t random_family(Random& random, uint16_t ethertype) {
  static constexpr std::array<uint32_t, 4> kIpv6Families = {10, 24, 28, 30};
  if (ethertype == 0x0800) return 2;
  return ethertype == 0x86dd ? random.pick(kIpv6Families) : 7;
}

Bytes cooked(Random& random, const Split& parts) {
  FileBytes header(std::endian::big);
  header.u16(static_cast<uint16_t>(random.below(6))).u16(1).u16(6).raw(random.bytes(8));
  return header.u16(parts.ethertype).raw(parts.payload).bytes();
}

Bytes cooked2(Random& random, const Split& parts) {
  FileBytes header(std::endian::big);
  header.u16(parts.ethertype).u16(0).u32(2).u16(1);
  header.raw(Bytes{static_cast<uint8_t>(random.below(6)), 6}).raw(random.bytes(8));
  return header.raw(parts.payload).bytes();
}

Bytes ethernet(const Sample& sample, const Split& parts) {
  if (!sample.l3) return sample.frame;
  FileBytes header(std::endian::big);
  return header.raw(Bytes(12)).u16(parts.ethertype).raw(parts.payload).bytes();
}

InterfaceSpec random_interface(Random& random, const SampleShape& shape, uint32_t link_type) {
  static constexpr std::array<uint32_t, 4> kSnaps = {0, 262'144, 65'535, 96};
  static constexpr std::array<uint8_t, 6> kResolutions = {6, 9, 3, 0, 0x80 | 10, 0x80 | 30};
  static constexpr std::array<uint8_t, 8> kOdd = {7, 12, 19, 20, 28, 127, 0x80 | 63, 0xff};
  static constexpr std::array<int64_t, 4> kOffsets = {3600, -3600, INT64_MAX, INT64_MIN};
  InterfaceSpec spec;
  spec.link_type = static_cast<uint16_t>(link_type);
  spec.snap_length = shape.one_snap_length ? 65'535 : random.pick(kSnaps);
  if (!random.one_in(3)) spec.name = "eth" + std::to_string(random.below(1000));
  if (!random.one_in(3)) spec.resolution = random.pick(kResolutions);
  if (random.one_in(4)) spec.offset = kOffsets[random.below(2)];
  if (shape.odd_times && random.one_in(3)) spec.resolution = random.pick(kOdd);
  if (shape.odd_times && random.one_in(6)) spec.offset = random.pick(kOffsets);
  return spec;
}

uint64_t random_stamp(Random& random, const SampleShape& shape, const InterfaceSpec& spec) {
  const std::array<uint64_t, 3> odd = {0, UINT64_MAX, random.below(UINT64_MAX)};
  if (shape.odd_times && random.one_in(3)) return random.pick(odd);
  const uint64_t second = kFirstSecond + random.below(100'000);
  const uint8_t resolution = spec.resolution.value_or(6);
  uint64_t units = 1;
  if ((resolution & 0x80) != 0) {
    units <<= std::min(resolution & 0x7f, 32);
  } else {
    for (int i = 0; i < std::min<int>(resolution, 9); ++i) units *= 10;
  }
  return second * units + random.below(units);
}

/// Cuts the frame as its interface does; at times more.
void cut(Random& random, uint32_t snap_length, bool anywhere, Bytes& bytes, uint32_t& wire) {
  wire = static_cast<uint32_t>(bytes.size());
  if (snap_length != 0 && bytes.size() > snap_length) bytes.resize(snap_length);
  if (anywhere && random.one_in(5)) bytes.resize(random.below(bytes.size() + 1));
}

class PcapngSample {
 public:
  PcapngSample(uint64_t seed, const SampleShape& shape)
      : random_(seed), corpus_(seed + 1), shape_(shape) {}

  BuiltCapture make() {
    begin_section();
    for (size_t i = 0; i < shape_.frames; ++i) {
      if (sections_ < shape_.max_sections && random_.one_in(6)) begin_section();
      if (random_.one_in(8)) add_interface();
      if (random_.one_in(5)) add_other_block();
      add_packet();
    }
    return builder_.build();
  }

 private:
  void begin_section() {
    const bool other = shape_.mixed_orders && sections_ % 2 == 1;
    const bool big = (shape_.order == std::endian::big) != other;
    builder_.section(big ? std::endian::big : std::endian::little,
                     random_.one_in(2) ? "sample" : "");
    ++sections_;
    specs_.clear();
    add_interface();
  }

  void add_interface() {
    const uint32_t link_type =
        shape_.link_types.empty() ? random_.pick(kAllLinkTypes) : random_.pick(shape_.link_types);
    specs_.push_back(random_interface(random_, shape_, link_type));
    builder_.interface(specs_.back());
  }

  void add_other_block() {
    static constexpr std::array<uint32_t, 6> kTypes = {4, 5, 10, 0x7777, 0xbad, 9};
    const uint32_t type = random_.pick(kTypes);
    const Bytes text{'_', '_', 'R', 'E', 'A', 'L', 'T', 'I', 'M', 'E', '_', 'T',
                     'I', 'M', 'E', 'S', 'T', 'A', 'M', 'P', '=', '1', '0', '\n'};
    // Zeros are a sound body of each of the other types, for whoever looks inside.
    builder_.block(type, type == 9 ? text : Bytes(12 + 4 * random_.below(9)),
                   type == 9 || type == 0xbad);
  }

  void add_packet() {
    static constexpr std::array kBlocks = {PacketBlock::kEnhanced, PacketBlock::kEnhanced,
                                           PacketBlock::kEnhanced, PacketBlock::kEnhanced,
                                           PacketBlock::kSimple,   PacketBlock::kObsolete};
    PacketSpec packet;
    packet.block = random_.pick(kBlocks);
    const bool simple = packet.block == PacketBlock::kSimple;
    packet.interface = simple ? 0 : static_cast<uint32_t>(random_.below(specs_.size()));
    const InterfaceSpec& spec = specs_[packet.interface];
    packet.stamp = random_stamp(random_, shape_, spec);
    packet.bytes = link_frame(spec.link_type, corpus_.next(), random_);
    cut(random_, spec.snap_length, !simple, packet.bytes, packet.wire);
    if (random_.one_in(3)) packet.flags = static_cast<uint32_t>(random_.below(1 << 16));
    if (random_.one_in(4)) packet.comment = "what \"became\" of it, “so” or ßo";
    builder_.packet(packet);
  }

  Random random_;
  Corpus corpus_;
  SampleShape shape_;
  PcapngBuilder builder_;
  std::vector<InterfaceSpec> specs_;
  size_t sections_ = 0;
};

BuiltCapture sample_pcap(uint64_t seed, const SampleShape& shape) {
  Random random(seed);
  Corpus corpus(seed + 1);
  const uint32_t link_type =
      shape.link_types.empty() ? random.pick(kAllLinkTypes) : random.pick(shape.link_types);
  PcapHeader header;
  const bool nanoseconds = random.one_in(2);
  header.magic = nanoseconds ? kPcapNanoMagic : kPcapMagic;
  header.network = link_type;
  if (random.one_in(3)) header.snap_length = 96;
  PcapBuilder builder(shape.order, header);
  for (size_t i = 0; i < shape.frames; ++i) {
    Bytes bytes = link_frame(link_type, corpus.next(), random);
    uint32_t wire = 0;
    cut(random, header.snap_length, true, bytes, wire);
    const auto second = static_cast<uint32_t>(kFirstSecond + random.below(100'000));
    builder.frame(second,
                  static_cast<uint32_t>(random.below(nanoseconds ? 1'000'000'000 : 1'000'000)),
                  bytes, wire);
  }
  return builder.build();
}

}  // namespace

Bytes link_frame(uint32_t link_type, const Sample& sample, Random& random) {
  const Split parts = split(sample);
  switch (link_type) {
    case kLinkEthernet:
      return ethernet(sample, parts);
    case kLinkCooked:
      return cooked(random, parts);
    case kLinkCooked2:
      return cooked2(random, parts);
    case kLinkNull:
    case kLinkLoop: {
      const bool big = link_type == kLinkLoop || random.one_in(2);
      FileBytes header(big ? std::endian::big : std::endian::little);
      return header.u32(random_family(random, parts.ethertype)).raw(parts.payload).bytes();
    }
    default:
      return parts.payload;
  }
}

BuiltCapture sample_capture(uint64_t seed, const SampleShape& shape) {
  return shape.pcapng ? PcapngSample(seed, shape).make() : sample_pcap(seed, shape);
}

}  // namespace tfo::test
