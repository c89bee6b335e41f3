// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/capture_builder.h"

#include <algorithm>
#include <utility>

namespace tfo::test {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

void put_option(FileBytes& body, uint16_t code, View value) {
  body.u16(code).u16(static_cast<uint16_t>(value.size())).raw(value).pad();
}

View view_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

void PrintTo(const OwnedFrame& frame, std::ostream* out) {
  *out << "frame " << frame.number << " at " << frame.time_ns << " ns on interface "
       << frame.interface << ", " << frame.bytes.size() << " of " << frame.wire_length << " bytes";
  if (frame.flags) *out << ", flags " << *frame.flags;
  *out << "\n" << hex_dump(View(frame.bytes).first(std::min<size_t>(frame.bytes.size(), 96)));
}

std::vector<OwnedFrame> BuiltCapture::owned_frames() const {
  std::vector<OwnedFrame> result;
  result.reserve(frames.size());
  for (const BuiltFrame& built : frames) result.push_back(built.frame);
  return result;
}

FileBytes& FileBytes::raw(View bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return *this;
}

FileBytes& FileBytes::text(std::string_view text) { return raw(view_of(text)); }

FileBytes& FileBytes::pad() {
  bytes_.resize((bytes_.size() + 3) / 4 * 4);
  return *this;
}

FileBytes& FileBytes::put(uint64_t value, int size) {
  for (int i = 0; i < size; ++i) {
    const int byte = order_ == std::endian::little ? i : size - 1 - i;
    bytes_.push_back(static_cast<uint8_t>(value >> (8 * byte)));
  }
  return *this;
}

PcapBuilder::PcapBuilder(std::endian order, const PcapHeader& header)
    : file_(order), fraction_ns_(header.magic == kPcapNanoMagic ? 1 : 1000) {
  file_.u32(header.magic).u16(header.major).u16(header.minor);
  file_.u64(0).u32(header.snap_length).u32(header.network);
  built_.interfaces.push_back({header.network & 0xffff, header.snap_length, ""});
}

PcapBuilder& PcapBuilder::frame(uint32_t seconds, uint32_t fraction, View bytes, uint32_t wire) {
  const auto captured = static_cast<uint32_t>(bytes.size());
  const size_t begin = file_.size();
  file_.u32(seconds).u32(fraction).u32(captured).u32(wire == 0 ? captured : wire).raw(bytes);
  BuiltFrame built;
  built.frame.number = built_.frames.size() + 1;
  built.frame.time_ns = uint64_t{seconds} * kSecondNs + uint64_t{fraction} * fraction_ns_;
  built.frame.wire_length = std::max(wire, captured);
  built.frame.bytes.assign(bytes.begin(), bytes.end());
  built.end = file_.size();
  built_.records.push_back({.begin = begin, .end = built.end, .order = file_.order()});
  built_.frames.push_back(std::move(built));
  return *this;
}

BuiltCapture PcapBuilder::build() const {
  BuiltCapture result = built_;
  result.file = file_.bytes();
  return result;
}

PcapngBuilder& PcapngBuilder::section(std::endian order, std::string_view application) {
  file_.order(order);
  section_.clear();
  FileBytes body(order);
  body.u32(0x1a2b3c4d).u16(1).u16(0).u64(UINT64_MAX);
  const size_t options = application.empty() ? 0 : body.size();
  if (options != 0) {
    put_option(body, 4, view_of(application));
    body.u32(0);
  }
  add_block(0x0a0d0d0a, body, options);
  return *this;
}

PcapngBuilder& PcapngBuilder::interface(const InterfaceSpec& spec) {
  FileBytes body(file_.order());
  body.u16(spec.link_type).u16(0).u32(spec.snap_length);
  const size_t fixed = body.size();
  if (!spec.name.empty()) put_option(body, 2, view_of(spec.name));
  if (spec.resolution) put_option(body, 9, Bytes{*spec.resolution});
  if (spec.offset) {
    FileBytes value(file_.order());
    put_option(body, 14, value.u64(static_cast<uint64_t>(*spec.offset)).bytes());
  }
  const bool options = body.size() > fixed;
  if (options) body.u32(0);
  section_.push_back(spec);
  built_.interfaces.push_back({spec.link_type, spec.snap_length, spec.name});
  add_block(1, body, options ? fixed : 0);
  return *this;
}

PcapngBuilder& PcapngBuilder::packet(const PacketSpec& spec) {
  const bool simple = spec.block == PacketBlock::kSimple;
  const auto captured = static_cast<uint32_t>(spec.bytes.size());
  const uint32_t wire = spec.wire == 0 ? captured : spec.wire;
  FileBytes body(file_.order());
  if (spec.block == PacketBlock::kEnhanced) body.u32(spec.interface);
  if (spec.block == PacketBlock::kObsolete) {
    body.u16(static_cast<uint16_t>(spec.interface)).u16(UINT16_MAX);
  }
  if (!simple) {
    body.u32(static_cast<uint32_t>(spec.stamp >> 32)).u32(static_cast<uint32_t>(spec.stamp));
    body.u32(captured);
  }
  body.u32(wire).raw(spec.bytes).pad();
  const size_t fixed = body.size();
  if (!simple && !spec.comment.empty()) put_option(body, 1, view_of(spec.comment));
  if (!simple && spec.flags) {
    FileBytes value(file_.order());
    put_option(body, 2, value.u32(*spec.flags).bytes());
  }
  const bool options = body.size() > fixed;
  if (options) body.u32(0);
  add_block(simple ? 3 : spec.block == PacketBlock::kEnhanced ? 6 : 2, body, options ? fixed : 0);

  BuiltFrame built;
  built.frame.number = ++numbers_;
  const size_t first = built_.interfaces.size() - section_.size();
  built.frame.interface = static_cast<uint32_t>(first + (simple ? 0 : spec.interface));
  built.frame.wire_length = std::max(wire, captured);
  built.frame.bytes = spec.bytes;
  if (!simple) {
    built.frame.time_ns = stamp_ns(section_.at(spec.interface), spec.stamp);
    built.frame.flags = spec.flags;
    built.comment = spec.comment;
  }
  built.end = file_.size();
  built_.frames.push_back(std::move(built));
  return *this;
}

PcapngBuilder& PcapngBuilder::block(uint32_t type, View body, bool shown) {
  FileBytes padded(file_.order());
  padded.raw(body).pad();
  add_block(type, padded, 0);
  if (shown) ++numbers_;
  return *this;
}

void PcapngBuilder::add_block(uint32_t type, const FileBytes& body, size_t options) {
  const size_t begin = file_.size();
  const auto length = static_cast<uint32_t>(12 + body.size());
  file_.u32(type).u32(length).raw(body.bytes()).u32(length);
  built_.records.push_back({.begin = begin,
                            .end = file_.size(),
                            .type = type,
                            .order = file_.order(),
                            .options = options == 0 ? 0 : begin + 8 + options});
}

BuiltCapture PcapngBuilder::build() const {
  BuiltCapture result = built_;
  result.pcapng = true;
  result.file = file_.bytes();
  return result;
}

uint64_t stamp_ns(const InterfaceSpec& interface, uint64_t stamp) {
  const uint8_t resolution = interface.resolution.value_or(6);
  const unsigned exponent = resolution & 0x7f;
  __int128 seconds = 0;
  __int128 nanoseconds = 0;
  const bool binary = (resolution & 0x80) != 0;
  if (binary || exponent <= 36) {
    unsigned __int128 units = binary ? static_cast<unsigned __int128>(1) << exponent : 1;
    for (unsigned i = 0; !binary && i < exponent; ++i) units *= 10;
    seconds = static_cast<__int128>(stamp / units);
    nanoseconds = static_cast<__int128>((stamp % units) * kSecondNs / units);
  }
  const __int128 total = (seconds + interface.offset.value_or(0)) * kSecondNs + nanoseconds;
  if (total < 0) return 0;
  return total > static_cast<__int128>(UINT64_MAX) ? UINT64_MAX : static_cast<uint64_t>(total);
}

}  // namespace tfo::test
