// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "loader/capture/link.h"
#include "loader/capture/reader.h"
#include "tools/commands.h"

namespace tfo {

/// Bytes written as pairs of hex digits; blanks, newlines and colons between them, and "0x" before
/// the first, are passed over. Errors name the first character that is wrong and its place, from 1.
Result<std::vector<uint8_t>> parse_hex(std::string_view text);

/// kLinkEthernet or kLinkRaw: what these bytes look like. Raw if they are an IP packet to the byte,
/// or can only be one; else Ethernet.
uint32_t guess_link_type(std::span<const uint8_t> bytes);

/// The frame that --hex, or FILE and --frame, name. Never moved once it is open: the frames refer
/// to what it holds.
class ExplainInput {
 public:
  static Result<std::unique_ptr<ExplainInput>> open(Context& context, const ExplainArgs& args);

  const CapturedFrame& captured() const { return captured_; }
  const EthernetFrame& ethernet() const { return ethernet_; }
  uint32_t link_type() const { return link_type_; }
  const std::string& interface() const { return interface_; }  // of the capture; may be empty
  bool from_file() const { return reader_.has_value(); }
  const std::string& file() const { return file_; }
  /// "--hex", "frame 3 of FILE"
  std::string name() const;

 private:
  ExplainInput() = default;
  Result<> read_hex(Context& context, std::string text, const std::string& link);
  Result<> read_file(const std::string& file, uint64_t number);
  Result<> find_frame(CaptureReader& reader, uint64_t number);
  Result<> shape();

  std::string file_;
  std::vector<uint8_t> bytes_;  // of --hex
  std::optional<CaptureReader> reader_;
  LinkShaper shaper_;
  CapturedFrame captured_;
  uint32_t link_type_ = kLinkEthernet;
  std::string interface_;
  EthernetFrame ethernet_;
};

}  // namespace tfo
