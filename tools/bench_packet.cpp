// SPDX-License-Identifier: BSD-2-Clause
#include "tools/bench_packet.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include <cstring>
#include <initializer_list>
#include <span>
#include <utility>

namespace tfo {

namespace {

constexpr size_t kTcpHeader = 20;
constexpr uint8_t kSyn = 0x02;
constexpr uint8_t kAck = 0x10;

class Bytes {
 public:
  void put(std::initializer_list<uint8_t> bytes) { all_.insert(all_.end(), bytes); }
  void put(std::span<const uint8_t> bytes) { all_.insert(all_.end(), bytes.begin(), bytes.end()); }
  void put16(size_t value) {
    put({static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value & 0xff)});
  }
  void put32(uint32_t value) {
    put16(value >> 16);
    put16(value & 0xffff);
  }
  void set16(size_t at, uint16_t value) {
    all_[at] = static_cast<uint8_t>(value >> 8);
    all_[at + 1] = static_cast<uint8_t>(value & 0xff);
  }
  size_t size() const { return all_.size(); }
  std::span<const uint8_t> from(size_t at) const { return std::span(all_).subspan(at); }
  std::vector<uint8_t> take() { return std::move(all_); }

 private:
  std::vector<uint8_t> all_;
};

/// One's complement sum of 16-bit words in network order (RFC 1071); lengths are even.
uint32_t sum_words(std::span<const uint8_t> bytes, uint32_t sum = 0) {
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) sum += bytes[i] * 256U + bytes[i + 1];
  return sum;
}

uint16_t fold(uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

std::span<const uint8_t> address(const BenchSegment& segment, bool source) {
  const auto& bytes = source ? segment.source : segment.destination;
  return segment.family == 4 ? std::span(bytes).subspan(12) : std::span(bytes);
}

void put_timestamps(Bytes& out) { out.put({8, 10, 0x3a, 0x5c, 0x11, 0x22, 0, 0, 0, 0}); }

void put_cookie(Bytes& out, uint64_t cookie) {
  uint8_t bytes[sizeof(cookie)];
  std::memcpy(bytes, &cookie, sizeof(cookie));
  out.put({34, 10});
  out.put(std::span<const uint8_t>(bytes));
}

std::vector<uint8_t> build_options(const BenchSegment& segment) {
  Bytes out;
  switch (segment.options) {
    case BenchOptions::kTimestamps:
      out.put({1, 1});
      put_timestamps(out);
      return out.take();
    case BenchOptions::kOtherOrder:
      out.put({2, 4, 0x05, 0xb4, 1, 3, 3, 6, 1, 1});
      put_timestamps(out);
      put_cookie(out, segment.cookie);
      out.put({4, 2});
      return out.take();
    default:
      break;
  }
  out.put({2, 4, 0x05, 0xb4, 4, 2});
  put_timestamps(out);
  out.put({1, 3, 3, 7});
  if (segment.options == BenchOptions::kRequest) out.put({34, 2, 1, 1});
  if (segment.options == BenchOptions::kCookie) {
    put_cookie(out, segment.cookie);
    out.put({1, 1});
  }
  return out.take();
}

void put_ip(Bytes& out, const BenchSegment& segment, size_t payload) {
  if (segment.family == 6) {
    out.put32(0x60000000);
    out.put16(payload);
    out.put({IPPROTO_TCP, 64});
    out.put(address(segment, true));
    out.put(address(segment, false));
    return;
  }
  const size_t start = out.size();
  out.put16(0x4500);
  out.put16(20 + payload);
  out.put32(0x12344000);  // an id, don't fragment
  out.put({64, IPPROTO_TCP, 0, 0});
  out.put(address(segment, true));
  out.put(address(segment, false));
  out.set16(start + 10, fold(sum_words(out.from(start))));
}

uint8_t flags_of(const BenchSegment& segment) {
  if (!segment.syn) return kAck;
  return segment.ack ? kSyn | kAck : kSyn;
}

void put_tcp(Bytes& out, const BenchSegment& segment, std::span<const uint8_t> options) {
  const size_t start = out.size();
  const size_t length = kTcpHeader + options.size() + segment.data;
  out.put16(segment.source_port);
  out.put16(segment.destination_port);
  out.put32(segment.sequence);
  out.put32(segment.syn ? segment.acknowledged : 0x01020304);
  out.put({static_cast<uint8_t>((kTcpHeader + options.size()) / 4 << 4), flags_of(segment), 0xfa,
           0xf0, 0, 0, 0, 0});
  out.put(options);
  for (size_t i = 0; i < segment.data; i++) out.put({static_cast<uint8_t>('a' + i % 26)});
  uint32_t sum = sum_words(address(segment, true), IPPROTO_TCP + static_cast<uint32_t>(length));
  sum = sum_words(address(segment, false), sum);
  out.set16(start + 16, fold(sum_words(out.from(start), sum)));
}

}  // namespace

std::vector<uint8_t> build_frame(const BenchSegment& segment) {
  const std::vector<uint8_t> options = build_options(segment);
  Bytes out;
  out.put({2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2});
  out.put16(segment.family == 6 ? ETH_P_IPV6 : ETH_P_IP);
  put_ip(out, segment, kTcpHeader + options.size() + segment.data);
  put_tcp(out, segment, options);
  return out.take();
}

}  // namespace tfo
