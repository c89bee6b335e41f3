// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bpf/tcpopt.h"

namespace tfo {

/// What the kernel's parser makes of one option, as far as Fast Open goes.
enum class OptionEffect : uint8_t {
  kNone,      // nothing: another option, or no operation
  kOdd,       // Fast Open with an odd number of cookie bytes: as if it were not there
  kIllegal,   // Fast Open with 2, or 18 and more of them: erases what came before
  kRequest,   // Fast Open without a cookie
  kCookie,    // Fast Open with a cookie of legal length, 4 to 16 bytes
  kEnd,       // the end of the options
  kNoLength,  // a last byte with no room for its length: ends the walk
  kTooShort,  // a length below 2: ends the walk
  kOverrun,   // reaches beyond the header: ends the walk
};

/// "none", "odd", "illegal", "request", "cookie", "end", "no_length", "too_short", "overrun".
const char* effect_label(OptionEffect effect);
/// The option is Fast Open, whatever became of it.
bool is_fast_open(OptionEffect effect);

struct TcpOption {
  uint32_t offset = 0;                     // from the start of the options
  std::span<const uint8_t> bytes;          // all of it, as far as the header goes
  uint32_t length = 0;                     // as its length byte says; 1 where it has none
  tfo_option_kind kind = TFO_OPTION_NONE;  // of a Fast Open option
  OptionEffect effect = OptionEffect::kNone;
  std::optional<size_t> undone_by;  // index of the option that replaced or erased it
};

/// The options of a SYN one by one, as tcp_parse_options() reads them.
struct OptionWalk {
  std::vector<TcpOption> options;   // up to the one that ended the walk
  std::span<const uint8_t> rest;    // behind it: never read
  uint32_t found = 0;               // what tfo_walk_options() returns
  std::optional<size_t> effective;  // index of the Fast Open option that counts

  const TcpOption* fast_open() const { return effective ? &options[*effective] : nullptr; }
  /// The cookie of the effective option; empty if it is none or a request.
  std::span<const uint8_t> cookie() const;
};

/// `options`: all that the header holds of them, at most 40 bytes; must outlive the walk.
OptionWalk walk_tcp_options(std::span<const uint8_t> options);

/// "maximum segment size 1460", "Fast Open, cookie of 8 bytes", "kind 99": what it is, not what
/// becomes of it.
std::string option_name(const TcpOption& option);

}  // namespace tfo
