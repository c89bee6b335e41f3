// SPDX-License-Identifier: BSD-2-Clause
#include "loader/replay/option_walk.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

namespace tfo {
namespace {

constexpr uint32_t kCookieMin = 4;  // RFC 7413 section 4.1.1
constexpr uint32_t kCookieMax = 16;

struct OptionName {
  uint8_t kind;
  const char* text;
};
constexpr OptionName kNames[] = {
    {0, "end of options"},    {1, "no operation"},     {2, "maximum segment size"},
    {3, "window scale"},      {4, "SACK permitted"},   {5, "SACK"},
    {8, "timestamps"},        {19, "MD5 signature"},   {28, "user timeout"},
    {29, "TCP-AO signature"}, {30, "Multipath TCP"},   {69, "tcpcrypt"},
    {172, "AccECN order 0"},  {174, "AccECN order 1"}, {253, "experiment"},
    {254, "experiment"}};

uint32_t number(std::span<const uint8_t> bytes) {
  uint32_t value = 0;
  for (const uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

OptionEffect effect_of(uint32_t cookie_length) {
  if (cookie_length % 2 != 0) return OptionEffect::kOdd;
  if (cookie_length == 0) return OptionEffect::kRequest;
  if (cookie_length < kCookieMin || cookie_length > kCookieMax) return OptionEffect::kIllegal;
  return OptionEffect::kCookie;
}

/// An option whose length byte is honest.
void note_fast_open(TcpOption& option) {
  if (option.bytes[0] == TFO_TCPOPT_FASTOPEN) {
    option.kind = TFO_OPTION_34;
  } else if (option.bytes[0] == TFO_TCPOPT_EXP && option.length >= 4 &&
             number(option.bytes.subspan(2, 2)) == TFO_FASTOPEN_MAGIC) {
    option.kind = TFO_OPTION_254;
  } else {
    return;
  }
  option.effect = effect_of(option.length - tfo_option_base(option.kind));
}

/// The option at the start of `left`, which is not empty.
TcpOption option_at(std::span<const uint8_t> left, uint32_t offset) {
  TcpOption option{.offset = offset, .bytes = left.first(1), .length = 1, .undone_by = {}};
  if (left[0] == TFO_TCPOPT_EOL) option.effect = OptionEffect::kEnd;
  if (left[0] == TFO_TCPOPT_EOL || left[0] == TFO_TCPOPT_NOP) return option;
  if (left.size() == 1) {
    option.effect = OptionEffect::kNoLength;
    return option;
  }
  option.length = left[1];
  option.bytes = left.first(std::clamp<size_t>(option.length, 2, left.size()));
  if (option.length < 2) {
    option.effect = OptionEffect::kTooShort;
  } else if (option.length > left.size()) {
    option.effect = OptionEffect::kOverrun;
  } else {
    note_fast_open(option);
  }
  return option;
}

bool ends_walk(OptionEffect effect) { return effect >= OptionEffect::kEnd; }

/// The effective option after the one at `index`, which is Fast Open.
void take_fast_open(OptionWalk& walk, size_t index) {
  const TcpOption& option = walk.options[index];
  walk.found = tfo_option_effect(walk.found, option.kind,
                                 option.length - tfo_option_base(option.kind), option.offset);
  if (option.effect == OptionEffect::kOdd) return;
  if (walk.effective) walk.options[*walk.effective].undone_by = index;
  walk.effective.reset();
  if (option.effect != OptionEffect::kIllegal) walk.effective = index;
}

}  // namespace

const char* effect_label(OptionEffect effect) {
  constexpr const char* kLabels[] = {"none", "odd",       "illegal",   "request", "cookie",
                                     "end",  "no_length", "too_short", "overrun"};
  return kLabels[static_cast<size_t>(effect)];
}

bool is_fast_open(OptionEffect effect) {
  return effect != OptionEffect::kNone && !ends_walk(effect);
}

std::span<const uint8_t> OptionWalk::cookie() const {
  const TcpOption* option = fast_open();
  if (option == nullptr) return {};
  return option->bytes.subspan(tfo_option_base(option->kind));
}

OptionWalk walk_tcp_options(std::span<const uint8_t> options) {
  OptionWalk walk;
  uint32_t at = 0;
  while (at < options.size()) {
    walk.options.push_back(option_at(options.subspan(at), at));
    const TcpOption& option = walk.options.back();
    at += option.bytes.size();
    if (is_fast_open(option.effect)) take_fast_open(walk, walk.options.size() - 1);
    if (ends_walk(option.effect)) break;
  }
  walk.rest = options.subspan(at);
  return walk;
}

std::string option_name(const TcpOption& option) {
  const uint8_t kind = option.bytes[0];
  const std::span<const uint8_t> body =
      option.bytes.subspan(std::min<size_t>(option.bytes.size(), 2));
  if (is_fast_open(option.effect)) {
    const std::string name =
        option.kind == TFO_OPTION_254 ? "Fast Open (experimental)" : "Fast Open";
    const uint32_t length = option.length - tfo_option_base(option.kind);
    if (length == 0) return name + ", request for a cookie";
    return fmt::format("{}, cookie of {} byte{}", name, length, length == 1 ? "" : "s");
  }
  const auto* known = std::ranges::find(kNames, kind, &OptionName::kind);
  std::string name = known == std::end(kNames) ? fmt::format("kind {}", kind) : known->text;
  if (kind == TFO_TCPOPT_FASTOPEN) name = "Fast Open";
  if (ends_walk(option.effect)) return name;
  if (kind == 2 && body.size() == 2) return fmt::format("{} {}", name, number(body));
  if (kind == 3 && body.size() == 1) return fmt::format("{} {}", name, number(body));
  if (kind >= 253 && body.size() >= 2) {
    return fmt::format("{} 0x{:04x}, not Fast Open", name, number(body.first(2)));
  }
  return name;
}

}  // namespace tfo
