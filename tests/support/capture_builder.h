// SPDX-License-Identifier: BSD-2-Clause
// Capture files byte by byte, in either byte order, and what a reader must make of them. Shares no
// code with loader/capture/.
#pragma once

#include <bit>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "loader/capture/capture.h"
#include "tests/support/bytes.h"

namespace tfo::test {

inline constexpr uint32_t kPcapMagic = 0xa1b2c3d4;
inline constexpr uint32_t kPcapNanoMagic = 0xa1b23c4d;

/// A frame that owns its bytes; the fields are those of CapturedFrame.
struct OwnedFrame {
  uint64_t number = 0;
  uint64_t time_ns = 0;
  uint32_t interface = 0;
  uint32_t wire_length = 0;
  Bytes bytes;
  std::optional<uint32_t> flags;

  bool operator==(const OwnedFrame&) const = default;
};
void PrintTo(const OwnedFrame& frame, std::ostream* out);

struct BuiltFrame {
  OwnedFrame frame;
  std::string comment;
  size_t end = 0;  ///< offset behind its record or block
};

/// Where a pcap record, or a pcapng block, stands in the file.
struct BuiltRecord {
  size_t begin = 0;
  size_t end = 0;
  uint32_t type = 0;  ///< of the block
  std::endian order = std::endian::little;
  size_t options = 0;  ///< offset of its first option; 0: it has none
};

struct BuiltCapture {
  Bytes file;
  bool pcapng = false;
  std::vector<BuiltRecord> records;
  std::vector<BuiltFrame> frames;
  std::vector<CaptureInterface> interfaces;

  std::vector<OwnedFrame> owned_frames() const;
};

/// Bytes that grow, with integers in one byte order.
class FileBytes {
 public:
  explicit FileBytes(std::endian order = std::endian::little) : order_(order) {}

  void order(std::endian order) { order_ = order; }
  std::endian order() const { return order_; }
  FileBytes& u16(uint16_t value) { return put(value, 2); }
  FileBytes& u32(uint32_t value) { return put(value, 4); }
  FileBytes& u64(uint64_t value) { return put(value, 8); }
  FileBytes& raw(View bytes);
  FileBytes& text(std::string_view text);
  FileBytes& pad();  ///< to a multiple of 4
  size_t size() const { return bytes_.size(); }
  const Bytes& bytes() const { return bytes_; }

 private:
  FileBytes& put(uint64_t value, int size);

  std::endian order_;
  Bytes bytes_;
};

struct PcapHeader {
  uint32_t magic = kPcapMagic;
  uint16_t major = 2;
  uint16_t minor = 4;
  uint32_t snap_length = 262'144;
  uint32_t network = kLinkEthernet;
};

class PcapBuilder {
 public:
  explicit PcapBuilder(std::endian order, const PcapHeader& header = {});
  /// `fraction` in the unit of the magic; `wire` 0: nothing was cut off.
  PcapBuilder& frame(uint32_t seconds, uint32_t fraction, View bytes, uint32_t wire = 0);
  BuiltCapture build() const;

 private:
  FileBytes file_;
  uint32_t fraction_ns_;
  BuiltCapture built_;
};

struct InterfaceSpec {
  uint16_t link_type = kLinkEthernet;
  uint32_t snap_length = 0;
  std::string name{};
  std::optional<uint8_t> resolution{};
  std::optional<int64_t> offset{};
};

enum class PacketBlock { kEnhanced, kSimple, kObsolete };

struct PacketSpec {
  PacketBlock block = PacketBlock::kEnhanced;
  uint32_t interface = 0;  ///< of the section; a simple one is of interface 0 and has no stamp
  uint64_t stamp = 0;      ///< in units of the interface
  Bytes bytes{};
  uint32_t wire = 0;  ///< 0: nothing was cut off
  std::optional<uint32_t> flags{};
  std::string comment{};
};

class PcapngBuilder {
 public:
  PcapngBuilder& section(std::endian order, std::string_view application = {});
  PcapngBuilder& interface(const InterfaceSpec& spec);
  PcapngBuilder& packet(const PacketSpec& spec);
  /// Any other block; `shown`: Wireshark gives it a frame number.
  PcapngBuilder& block(uint32_t type, View body, bool shown = false);
  BuiltCapture build() const;

 private:
  void add_block(uint32_t type, const FileBytes& body, size_t options);

  FileBytes file_;
  std::vector<InterfaceSpec> section_;
  uint64_t numbers_ = 0;
  BuiltCapture built_;
};

/// Unix nanoseconds of a pcapng stamp, by seconds and fraction; cut to 64 bits.
uint64_t stamp_ns(const InterfaceSpec& interface, uint64_t stamp);

}  // namespace tfo::test
