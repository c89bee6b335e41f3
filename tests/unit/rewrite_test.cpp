// SPDX-License-Identifier: BSD-2-Clause
// The rewriting of a cookie against a full recomputation, over random bytes.
#include "bpf/rewrite.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "bpf/policy.h"
#include "tests/support/bytes.h"
#include "tests/support/packet.h"

namespace tfo::test {
namespace {

constexpr int kRounds = 20'000;

uint64_t load64(const uint8_t* at) { return tfo_load64(at); }

/// Bytes of which many are 0 or 0xff: one's complement has two zeros.
Bytes random_bytes(std::mt19937_64& random, size_t count) {
  Bytes bytes(count);
  for (uint8_t& byte : bytes) {
    const uint64_t draw = random();
    byte = draw % 4 == 0 ? 0 : draw % 4 == 1 ? 0xff : static_cast<uint8_t>(draw >> 8);
  }
  return bytes;
}

/// In the frame's byte order, as the core handles it.
uint16_t checksum_of(const Bytes& bytes) {
  const uint16_t sum = internet_checksum({bytes});
  return tfo_be16(sum);
}

TEST(RewriteChecksum, IsTheOneOfTheBytesAsTheyAreThen) {
  std::mt19937_64 random(7);
  for (int i = 0; i < kRounds; i++) {
    Bytes bytes = random_bytes(random, 12 + random() % 60);
    bytes[0] |= 1;  // a pseudo-header is never all zero
    const size_t at = 1 + random() % (bytes.size() - 8);
    const Bytes replacement = random_bytes(random, 8);
    const uint16_t before = checksum_of(bytes);
    const uint64_t from = load64(bytes.data() + at), to = load64(replacement.data());
    std::ranges::copy(replacement, bytes.begin() + static_cast<ptrdiff_t>(at));
    EXPECT_EQ(tfo_checksum_replace(before, from, to, at % 2 != 0), checksum_of(bytes))
        << to_hex(bytes) << " at " << at << " round " << i;
  }
}

TEST(RewriteChecksum, AReplacementByTheSameBytesChangesNothing) {
  for (const uint16_t checksum : {0x0000, 0x0001, 0x1234, 0xfffe}) {
    for (const uint64_t bytes : {uint64_t{0}, UINT64_MAX, uint64_t{0x0123456789abcdef}}) {
      EXPECT_EQ(tfo_checksum_replace(checksum, bytes, bytes, 0), checksum);
      EXPECT_EQ(tfo_checksum_replace(checksum, bytes, bytes, 1), checksum);
    }
  }
}

TEST(RewriteChecksum, AWrongOneStaysAsWrong) {
  std::mt19937_64 random(8);
  for (int i = 0; i < kRounds; i++) {
    const uint64_t from = random(), to = random();
    const auto wrong = static_cast<uint16_t>(random());
    const int odd = static_cast<int>(random() % 2);
    const uint16_t there = tfo_checksum_replace(wrong, from, to, odd);
    const uint16_t back = tfo_checksum_replace(there, to, from, odd);
    // 0 and 0xffff are the same number.
    EXPECT_EQ(back % 0xffff, wrong % 0xffff);
  }
}

tfo_flow flow_of(const Packet& packet) {
  const Bytes both = join({packet.ip.source.wire(), packet.ip.destination.wire()});
  tfo_flow flow{};
  flow.family = packet.ip.destination.v6 ? 6 : 4;
  std::memcpy(flow.word, both.data(), both.size());
  return flow;
}

TEST(RewritePartial, IsKnownByThePseudoHeadersSum) {
  std::mt19937_64 random(9);
  for (int i = 0; i < kRounds; i++) {
    const bool v6 = i % 2 != 0;
    Address source{.v6 = v6}, destination{.v6 = v6};
    std::ranges::copy(random_bytes(random, v6 ? 16 : 4), source.bytes.begin());
    std::ranges::copy(random_bytes(random, v6 ? 16 : 4), destination.bytes.begin());
    const Packet packet = Packet::syn(source, destination);
    const uint32_t length = 20 + static_cast<uint32_t>(random() % 9000);
    const tfo_flow flow = flow_of(packet);
    const uint16_t sum = tfo_be16(pseudo_header_sum(packet.ip, length));
    tfo_site site{};
    site.tcp = 34;
    site.segment = length;
    EXPECT_EQ(tfo_is_partial(&site, &flow, sum), 1);
    EXPECT_EQ(tfo_is_partial(&site, &flow, static_cast<uint16_t>(sum + 1)), 0);
    EXPECT_EQ(tfo_is_partial(&site, &flow, static_cast<uint16_t>(~sum)), 0);
    site.segment = 0;
    EXPECT_EQ(tfo_is_partial(&site, &flow, sum), 0) << "a fragment";
  }
}

TEST(RewriteSigned, TheWalkStaysInsideTheOptions) {
  std::mt19937_64 random(10);
  for (int i = 0; i < kRounds; i++) {
    const size_t length = random() % 41;
    Bytes options(length);
    for (uint8_t& byte : options)
      byte = static_cast<uint8_t>(random() % 8 == 0 ? 19 : random() % 6);
    const uint8_t* end = options.data() + options.size();
    // What a reader byte by byte comes to.
    bool expected = false;
    for (size_t at = 0; at + 1 < length && options[at] != 0;) {
      if (options[at] == 1) {
        at++;
      } else if (options[at] == 19 || options[at + 1] < 2) {
        expected = options[at] == 19;
        break;
      } else {
        at += options[at + 1];
      }
    }
    EXPECT_EQ(tfo_is_signed(options.data(), end, static_cast<uint32_t>(length)) != 0, expected)
        << to_hex(options);
  }
}

TEST(Rewrite, LeavesAFrameAloneThatEndsTooEarly) {
  Bytes frame(64, 0x11);
  const Bytes before = frame;
  const tfo_flow flow{.word = {1}, .family = 4};
  const tfo_frame core{frame.data(), frame.data() + frame.size(), nullptr};
  const auto site = [](uint16_t tcp, uint16_t option) {
    return tfo_site{.segment = 40,
                    .tcp = tcp,
                    .option = option,
                    .cookie = static_cast<__u16>(option + 2),
                    .options = 12,
                    .cookie_len = 8};
  };
  for (const tfo_site& wrong : {site(20, 55), site(45, 18)}) {
    EXPECT_EQ(tfo_put_cookie(&core, &wrong, &flow, 7, 0), 0);
    EXPECT_EQ(tfo_put_request(&core, &wrong, &flow, 0), 0);
  }
  EXPECT_EQ(frame, before);
}

TEST(Policy, OnlyEnforceActs) {
  EXPECT_EQ(tfo_verdict(TFO_ENFORCE, TFO_RENEW), TFO_RENEW);
  EXPECT_EQ(tfo_verdict(TFO_OBSERVE, TFO_RENEW), TFO_PASS);
  EXPECT_EQ(tfo_verdict(TFO_CANARY, TFO_RENEW), TFO_PASS) << "tfo_client_mode() comes before";
  EXPECT_EQ(tfo_verdict(3, TFO_RENEW), TFO_PASS) << "a mode of a later version";
  EXPECT_EQ(tfo_verdict(TFO_ENFORCE, TFO_PASS), TFO_PASS);
}

}  // namespace
}  // namespace tfo::test
