// SPDX-License-Identifier: BSD-2-Clause
#include "tools/explain_input.h"

#include <fmt/format.h>

#include <iterator>

#include "bpf/parse.h"
#include "tools/keytext.h"
#include "tools/text_table.h"

namespace tfo {

namespace {

constexpr size_t kMaxHex = 1 << 20;  // characters; a frame of 64 KiB takes 200,000 at most

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool is_separator(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ':'; }

std::string shown(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f ? fmt::format("'{}'", c) : fmt::format("byte 0x{:02x}", byte);
}

uint32_t big16(std::span<const uint8_t> bytes, size_t at) {
  return static_cast<uint32_t>(bytes[at] << 8 | bytes[at + 1]);
}

bool looks_like_ethernet(std::span<const uint8_t> bytes) {
  const uint32_t ethertype = big16(bytes, 12);
  if (tfo_is_vlan(static_cast<__u16>(ethertype))) return true;
  if (bytes.size() == TFO_ETH_LEN) return true;
  const int version = bytes[TFO_ETH_LEN] >> 4;
  return (ethertype == TFO_ETH_IPV4 && version == 4) || (ethertype == TFO_ETH_IPV6 && version == 6);
}

/// Length of an IP packet by its header; 0 if this can be none.
size_t ip_length(std::span<const uint8_t> bytes) {
  const int version = bytes[0] >> 4;
  if (version == 4 && bytes.size() >= 20) return big16(bytes, 2);
  return version == 6 && bytes.size() >= 40 ? 40 + big16(bytes, 4) : 0;
}

Result<> check_usage(const ExplainArgs& args) {
  if (args.hex.has_value() == !args.file.empty()) {
    return fail(
        "give the packet either with --hex BYTES (- is standard input) or as FILE --frame N");
  }
  if (args.hex && args.frame != 0) return fail("--frame counts the frames of a FILE: give one");
  if (args.hex && *args.hex == "-" && args.world.keys.file == "-") {
    return fail("--hex and --key-file cannot both be standard input");
  }
  if (args.hex) return {};
  if (args.frame == 0) {
    return fail("say which frame of the file: --frame N, from 1 as Wireshark counts them");
  }
  if (args.link != "auto") return fail("--link is for --hex: a capture says its link type itself");
  if (args.file == "-" && args.world.keys.file == "-") {
    return fail("FILE and --key-file cannot both be standard input");
  }
  return {};
}

}  // namespace

Result<std::vector<uint8_t>> parse_hex(std::string_view text) {
  std::vector<uint8_t> bytes;
  size_t at = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  if (text.substr(at, 2) == "0x" || text.substr(at, 2) == "0X") at += 2;
  int high = -1;  // digit of a byte that is not whole yet
  for (; at < text.size(); at++) {
    if (is_separator(text[at])) continue;
    const int value = digit(text[at]);
    if (value < 0) {
      return fail(fmt::format(
          "{} at place {} is no hex digit: give the frame's bytes alone, without offsets and text",
          shown(text[at]), at + 1));
    }
    if (high >= 0) bytes.push_back(static_cast<uint8_t>(high << 4 | value));
    high = high >= 0 ? -1 : value;
  }
  if (high >= 0) {
    return fail(fmt::format("an odd number of hex digits ({}): half of a byte is missing",
                            2 * bytes.size() + 1));
  }
  return bytes;
}

uint32_t guess_link_type(std::span<const uint8_t> bytes) {
  if (bytes.size() < TFO_ETH_LEN) return kLinkEthernet;
  const size_t length = ip_length(bytes);
  // To the byte: what follows may look like an ethertype, 129.0.0.1 as a VLAN tag for instance.
  if (length == bytes.size()) return kLinkRaw;
  if (looks_like_ethernet(bytes)) return kLinkEthernet;
  return length != 0 && length < bytes.size() ? kLinkRaw : kLinkEthernet;
}

Result<std::unique_ptr<ExplainInput>> ExplainInput::open(Context& context,
                                                         const ExplainArgs& args) {
  auto checked = check_usage(args);
  if (!checked) return tl::unexpected(std::move(checked).error());
  std::unique_ptr<ExplainInput> input(new ExplainInput);
  auto read = args.hex ? input->read_hex(context, *args.hex, args.link)
                       : input->read_file(args.file, args.frame);
  if (read) read = input->shape();
  if (!read) return tl::unexpected(std::move(read).error());
  return input;
}

std::string ExplainInput::name() const {
  return from_file() ? fmt::format("frame {} of {}", captured_.number, printable(file_)) : "--hex";
}

Result<> ExplainInput::read_hex(Context& context, std::string text, const std::string& link) {
  if (text == "-") {
    text.clear();
    char c = 0;
    while (text.size() <= kMaxHex && context.in.get(c)) text += c;
    if (text.size() > kMaxHex) return fail("--hex: standard input is too long for one frame");
  }
  auto bytes = parse_hex(text);
  if (!bytes) return tl::unexpected(std::move(bytes).error().in("--hex"));
  bytes_ = std::move(*bytes);
  if (bytes_.size() < TFO_ETH_LEN) {
    return fail(fmt::format("--hex: {} bytes are too few, an Ethernet header alone has {}",
                            bytes_.size(), TFO_ETH_LEN));
  }
  captured_.bytes = bytes_;
  captured_.wire_length = static_cast<uint32_t>(bytes_.size());
  link_type_ = link == "raw" ? kLinkRaw : link == "auto" ? guess_link_type(bytes_) : kLinkEthernet;
  return {};
}

Result<> ExplainInput::read_file(const std::string& file, uint64_t number) {
  file_ = file == "-" ? "standard input" : file;
  auto reader = CaptureReader::open(file);
  if (!reader) return tl::unexpected(std::move(reader).error());
  return find_frame(reader_.emplace(std::move(*reader)), number);
}

Result<> ExplainInput::find_frame(CaptureReader& reader, uint64_t number) {
  uint64_t last = 0;
  while (last < number) {
    auto next = reader.next();
    if (!next) return tl::unexpected(std::move(next).error());
    const std::optional<CapturedFrame>& frame = *next;
    if (!frame) {
      return fail(fmt::format("{}: there is no frame {}, the last one is {}", printable(file_),
                              number, last));
    }
    captured_ = *frame;
    last = captured_.number;
  }
  if (last > number) {
    return fail(fmt::format("{}: what Wireshark counts as frame {} is no packet", printable(file_),
                            number));
  }
  const CaptureInterface& interface = reader.interfaces()[captured_.interface];
  link_type_ = interface.link_type;
  interface_ = interface.name;
  return {};
}

Result<> ExplainInput::shape() {
  if (!LinkShaper::knows(link_type_)) {
    return fail(fmt::format("{} is {}: Ethernet, raw IP and Linux cooked frames can be explained",
                            name(), LinkShaper::name(link_type_)));
  }
  const auto frame = shaper_.shape(link_type_, captured_);
  if (!frame || frame->wire_length < TFO_ETH_LEN) {
    return fail(fmt::format("{}: its link header is not whole, {} of {} bytes are here", name(),
                            captured_.bytes.size(), captured_.wire_length));
  }
  ethernet_ = *frame;
  return {};
}

}  // namespace tfo
