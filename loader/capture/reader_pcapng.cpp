// SPDX-License-Identifier: BSD-2-Clause
#include "loader/capture/reader_pcapng.h"

#include <fmt/format.h>

#include <algorithm>

#include "loader/capture/pcapng.h"
#include "loader/capture/pcapng_options.h"

namespace tfo {
namespace {

/// Of blocks that are looked into; the largest that makes sense is a frame with its comments.
constexpr uint32_t kMaxBlock = 16 * 1024 * 1024;
constexpr uint32_t kMinSection = 28;
constexpr size_t kMinInterface = 8;  // bodies from here on
constexpr size_t kMinPacket = 20;    // enhanced and obsolete ones
constexpr size_t kStampPart = 16;    // of those: stamp, captured length, wire length
constexpr size_t kMinSimplePacket = 4;
/// Memory is constant, so somewhere is an end.
constexpr size_t kMaxInterfaces = 65'536;
constexpr size_t kMaxName = 256;

bool is_packet(uint32_t type) {
  return type == kBlockEnhancedPacket || type == kBlockSimplePacket || type == kBlockPacket;
}

bool is_shown_as_frame(uint32_t type) {
  return type == kBlockJournal || type == kBlockSysdig || type == kBlockSysdig2 ||
         type == kBlockSysdigLarge || type == kBlockCustom || type == kBlockCustomNoCopy;
}

}  // namespace

Result<> PcapngReader::begin() {
  block_ = source_.offset();
  return read_section();
}

Result<std::optional<CapturedFrame>> PcapngReader::next() {
  while (true) {
    block_ = source_.offset();
    if (!source_.need(kBlockHead)) {
      if (source_.at_end()) return std::optional<CapturedFrame>();
      return ends_early();
    }
    const uint32_t type = order_.u32(source_.data());
    const uint32_t length = order_.u32(source_.data() + 4);
    if (is_packet(type)) {
      return read_packet(type, length);
    }
    const Result<> done = type == kBlockSection     ? read_section()
                          : type == kBlockInterface ? read_interface(length)
                                                    : pass_over(length);
    if (!done) return tl::unexpected(done.error());
    if (is_shown_as_frame(type)) ++frames_;
  }
}

Result<> PcapngReader::read_section() {
  if (!source_.need(kBlockFrame)) return ends_early();
  const uint8_t* head = source_.data();
  order_ = ByteOrder(false);
  if (order_.u32(head + kBlockHead) != kByteOrderMagic) {
    order_ = ByteOrder(true);
    if (order_.u32(head + kBlockHead) != kByteOrderMagic) {
      return bad_block("begins a section without the byte order magic 1a2b3c4d");
    }
  }
  const uint32_t length = order_.u32(head + 4);
  if (length < kMinSection) {
    return bad_block(
        fmt::format("begins a section of {} bytes, at least {} are needed", length, kMinSection));
  }
  auto body = take_block(length);
  if (!body) return tl::unexpected(std::move(body.error()));
  const uint16_t major = order_.u16(body->data() + 4);
  if (major != 1) {
    return bad_block(
        fmt::format("says that it is pcapng of version {}, only 1 can be read", major));
  }
  first_ = static_cast<uint32_t>(interfaces_.size());
  clocks_.clear();
  return {};
}

Result<> PcapngReader::read_interface(uint32_t length) {
  auto body = take_block(length);
  if (!body) return tl::unexpected(std::move(body.error()));
  if (body->size() < kMinInterface) return bad_block("is too short to describe an interface");
  if (interfaces_.size() == kMaxInterfaces) {
    return bad_block(fmt::format("describes one interface more than {}", kMaxInterfaces));
  }
  CaptureInterface interface;
  interface.link_type = order_.u16(body->data());
  interface.snap_length = order_.u32(body->data() + 4);
  auto done = read_interface_options(body->subspan(kMinInterface), interface);
  if (done) interfaces_.push_back(std::move(interface));
  return done;
}

Result<> PcapngReader::read_interface_options(Bytes bytes, CaptureInterface& interface) {
  uint8_t resolution = 6;
  int64_t offset_s = 0;
  PcapngOptions options(bytes, order_);
  while (options.next()) {
    const Bytes value = options.value();
    switch (options.code()) {
      case kOptionInterfaceName:
        // Some writers count a closing zero in.
        interface.name.assign(value.begin(), std::find(value.begin(), value.end(), 0));
        interface.name.resize(std::min(interface.name.size(), kMaxName));
        break;
      case kOptionTimeResolution:
        if (value.size() != 1) return bad_block("has an if_tsresol that is not 1 byte long");
        resolution = value[0];
        break;
      case kOptionTimeOffset:
        if (value.size() != 8) return bad_block("has an if_tsoffset that is not 8 bytes long");
        offset_s = static_cast<int64_t>(order_.u64(value.data()));
        break;
      default:
        break;
    }
  }
  if (options.broken()) return bad_block("has an option that reaches beyond its end");
  clocks_.emplace_back(resolution, offset_s);
  return {};
}

Result<CapturedFrame> PcapngReader::read_packet(uint32_t type, uint32_t length) {
  auto body = take_block(length);
  if (!body) return tl::unexpected(std::move(body.error()));
  Result<CapturedFrame> frame = type == kBlockEnhancedPacket ? enhanced(*body)
                                : type == kBlockPacket       ? obsolete(*body)
                                                             : simple(*body);
  if (frame) frame->number = ++frames_;
  return frame;
}

Result<CapturedFrame> PcapngReader::enhanced(Bytes body) {
  if (body.size() < kMinPacket) return bad_block("is too short for an Enhanced Packet Block");
  return stamped(order_.u32(body.data()), body.subspan(4));
}

Result<CapturedFrame> PcapngReader::obsolete(Bytes body) {
  if (body.size() < kMinPacket) return bad_block("is too short for a Packet Block");
  return stamped(order_.u16(body.data()), body.subspan(4));  // a count of drops is between
}

Result<CapturedFrame> PcapngReader::stamped(uint32_t interface, Bytes body) {
  if (interface >= clocks_.size()) {
    return bad_block(fmt::format("names interface {}, but its section has described {}", interface,
                                 clocks_.size()));
  }
  const uint8_t* head = body.data();
  const uint32_t captured = order_.u32(head + 8);
  const Bytes rest = body.subspan(kStampPart);
  if (auto fits = check_captured(captured, rest.size()); !fits) {
    return tl::unexpected(std::move(fits.error()));
  }
  CapturedFrame frame;
  frame.time_ns = clocks_[interface].ns(uint64_t{order_.u32(head)} << 32 | order_.u32(head + 4));
  frame.interface = first_ + interface;
  frame.wire_length = std::max(order_.u32(head + 12), captured);
  frame.bytes = rest.first(captured);
  const Bytes options = rest.subspan(padded(captured));
  if (options.empty()) return frame;
  auto done = read_packet_options(options, frame);
  if (!done) return tl::unexpected(std::move(done.error()));
  return frame;
}

Result<CapturedFrame> PcapngReader::simple(Bytes body) {
  if (body.size() < kMinSimplePacket) return bad_block("is too short for a Simple Packet Block");
  if (clocks_.empty()) return bad_block("is a packet, but its section has described no interface");
  const uint32_t snap = interfaces_[first_].snap_length;
  CapturedFrame frame;
  frame.wire_length = order_.u32(body.data());
  const uint32_t captured = snap == 0 ? frame.wire_length : std::min(frame.wire_length, snap);
  if (auto fits = check_captured(captured, body.size() - kMinSimplePacket); !fits) {
    return tl::unexpected(std::move(fits.error()));
  }
  frame.interface = first_;
  frame.bytes = body.subspan(kMinSimplePacket, captured);
  return frame;
}

Result<> PcapngReader::check_captured(uint32_t captured, size_t room) const {
  if (captured > kMaxFrame) {
    return bad_block(
        fmt::format("holds {} bytes of a frame, at most {} are possible", captured, kMaxFrame));
  }
  if (captured > room) {
    return bad_block(fmt::format("has room for {} bytes of the {} captured", room, captured));
  }
  return {};
}

Result<> PcapngReader::read_packet_options(Bytes bytes, CapturedFrame& frame) {
  PcapngOptions options(bytes, order_);
  while (options.next()) {
    if (options.code() != kOptionFlags) continue;
    if (options.value().size() != 4) return bad_block("has flags that are not 4 bytes long");
    frame.flags = order_.u32(options.value().data());
  }
  if (options.broken()) return bad_block("has an option that reaches beyond its end");
  return {};
}

Result<> PcapngReader::check_length(uint32_t length) const {
  if (length >= kBlockFrame && length % 4 == 0) return {};
  return bad_block(
      fmt::format("says that it is {} bytes long, which is no multiple of 4 of at least {}", length,
                  kBlockFrame));
}

Result<PcapngReader::Bytes> PcapngReader::take_block(uint32_t length) {
  auto sound = check_length(length);
  if (!sound) return tl::unexpected(std::move(sound.error()));
  if (length > kMaxBlock) {
    return bad_block(
        fmt::format("says that it is {} bytes long, at most {} are possible for one "
                    "of its type",
                    length, kMaxBlock));
  }
  if (!source_.need(length)) return ends_early();
  const uint8_t* block = source_.data();
  const uint32_t again = order_.u32(block + length - 4);
  if (again != length) return lengths_differ(length, again);
  source_.consume(length);
  return Bytes(block + kBlockHead, length - kBlockFrame);
}

Result<> PcapngReader::pass_over(uint32_t length) {
  auto sound = check_length(length);
  if (!sound) return sound;
  if (!source_.skip(length - 4) || !source_.need(4)) return ends_early();
  const uint32_t again = order_.u32(source_.data());
  if (again != length) return lengths_differ(length, again);
  source_.consume(4);
  return {};
}

tl::unexpected<Error> PcapngReader::lengths_differ(uint32_t length, uint32_t again) const {
  return bad_block(
      fmt::format("is {} bytes long by its beginning and {} by its end", length, again));
}

tl::unexpected<Error> PcapngReader::bad_block(const std::string& text) const {
  return source_.failure(fmt::format(
      "the block at byte {}, after frame {}, {}: the file is damaged", block_, frames_, text));
}

tl::unexpected<Error> PcapngReader::ends_early() const {
  // A block that is passed over is consumed as far as it is there.
  const bool in_frame = source_.available() >= kBlockHead && is_packet(order_.u32(source_.data()));
  const std::string where =
      in_frame ? fmt::format("frame {}, which begins at byte {}", frames_ + 1, block_)
               : fmt::format("the block at byte {}, after frame {}", block_, frames_);
  return source_.failure(fmt::format("ends at byte {}, within {}", source_.end_offset(), where));
}

}  // namespace tfo
