// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/live_effect.h"

#include <algorithm>

#include "tests/support/reference_ip.h"

namespace tfo::test {
namespace {

constexpr TfoMib kRequested{.request = 1};
constexpr TfoMib kAccepted{.accepted = 1};
constexpr TfoMib kByBackup{.accepted = 1, .alternate = 1};
constexpr TfoMib kRefused{.refused = 1};

// reason, counters that move by one, answered, data taken, cookie minted
constexpr std::array kEffects = {
    Effect{TFO_NOT_TCP, {}, false, false, false},
    Effect{TFO_FRAGMENT, {}, false, false, false},
    Effect{TFO_TRUNCATED, {}, false, false, false},
    Effect{TFO_OTHER, {}, false, false, false},
    Effect{TFO_SYN_ACK, {}, false, false, false},
    Effect{TFO_NOT_VIP, {}, false, false, false},  // samples go to ports without a listener
    Effect{TFO_PLAIN, {}, true, false, false},
    Effect{TFO_DATA_NO_OPTION, {}, true, false, false},
    Effect{TFO_REQUEST, kRequested, true, false, true},
    Effect{TFO_COOKIE_CURRENT, kAccepted, true, true, false},
    Effect{TFO_COOKIE_STAGED, kRefused, true, false, true},
    Effect{TFO_COOKIE_PREVIOUS, kRefused, true, false, true},
    Effect{TFO_COOKIE_RETIRED, kRefused, true, false, true},
    Effect{TFO_COOKIE_REVOKED, kRefused, true, false, true},
    Effect{TFO_COOKIE_INVALID, kRefused, true, false, true},
    Effect{TFO_COOKIE_LENGTH, kRefused, true, false, true},
    Effect{TFO_OPTION_IGNORED, {}, true, false, false},
    Effect{TFO_NO_KEY, kRefused, true, false, true},  // samples carry no cookie of the server's
    Effect{TFO_INTERNAL_ERROR, {}, false, false, false},
};

size_t data_of(const LiveSample& sample) {
  if (sample.frames.size() > 1) return sample.packet.payload.size();
  const Found found = find_segment(sample.frames.front(), case_world());
  return found->bytes.size() - static_cast<size_t>(found->bytes[12] >> 4) * 4;
}

void put_checksum(Bytes& frame, View covered, size_t at, uint16_t sum) {
  put16(frame, static_cast<size_t>(covered.data() - frame.data()) + at, sum);
}

}  // namespace

Effect expected_effect(tfo_reason reason, tfo_place backup) {
  const auto row = std::ranges::find(kEffects, reason, &Effect::reason);
  const tfo_reason by_backup = backup == TFO_PLACE_STAGED ? TFO_COOKIE_STAGED : TFO_COOKIE_PREVIOUS;
  if (reason == by_backup) return {reason, kByBackup, true, true, true};
  return *row;
}

Bytes options_of(const Packet& packet) {
  Bytes options = packet.tcp.options;
  options.resize((options.size() + 3) / 4 * 4);
  if (!packet.tcp.doff || *packet.tcp.doff < 5) return options;
  const Bytes all = join({options, packet.payload});
  const size_t length = (*packet.tcp.doff - size_t{5}) * 4;
  return Bytes(all.begin(), all.begin() + static_cast<ptrdiff_t>(std::min(length, all.size())));
}

std::optional<SynAck> expected_answer(const LiveSample& sample, const Effect& effect) {
  if (!effect.answered) return std::nullopt;
  SynAck answer;
  answer.acked = static_cast<uint32_t>(1 + (effect.takes_data ? data_of(sample) : 0));
  if (effect.mints) {
    const Bytes options = options_of(sample.packet);
    answer.option = reference_options(options).experimental ? TFO_OPTION_254 : TFO_OPTION_34;
    answer.cookie = to_hex(cookie_of(kCurrentKey, sample.packet));
  }
  return answer;
}

bool breaks_before_signature(View options, size_t signature) {
  while (options.size() >= signature && options[0] != 0) {
    if (options[0] == 1) {
      options = options.subspan(1);
      continue;
    }
    if (options[1] < 2 || options[1] > options.size()) return true;
    options = options.subspan(options[1]);
  }
  return false;
}

bool is_signed(View options) {
  constexpr uint8_t kMd5 = 19, kAuthentication = 29;
  while (options.size() >= 2 && options[0] != 0) {
    if (options[0] == kMd5 || options[0] == kAuthentication) return true;
    const size_t length = options[0] == 1 ? 1 : options[1];
    if (length == 0 || length > options.size()) return false;
    options = options.subspan(length);
  }
  return false;
}

Result<size_t> probe_signature(LiveFarm& farm) {
  uint16_t port = 1000;
  for (const size_t length : {20, 8}) {
    Packet probe =
        web_syn(kSides[0]).ports(++port, 443).option(Bytes{99, 0}).option(Bytes(length - 2, 1));
    farm.address(probe);
    const auto seen = farm.send({probe.frame()}, port, probe.tcp.sequence);
    if (!seen) return tl::unexpected(seen.error());
    if (seen->answer) return length == 20 ? SIZE_MAX : 18;
  }
  return 5;
}

void fix_checksums(Bytes& frame) {
  const Found found = find_segment(frame, case_world());
  if (!found || found->more || found->bytes.size() < 18) return;
  const View segment = found->bytes;
  put_checksum(frame, segment, 16, 0);
  Bytes rest(found->source.size() == 16 ? 8 : 4);
  if (rest.size() == 8) {
    put32(rest, 0, static_cast<uint32_t>(segment.size()));
    rest[7] = 6;
  } else {
    put16(rest, 2, static_cast<uint16_t>(segment.size()));
    rest[1] = 6;
  }
  const uint16_t sum = internet_checksum({found->source, found->destination, rest, segment});
  put_checksum(frame, segment, 16, sum);
}

}  // namespace tfo::test
