// SPDX-License-Identifier: BSD-2-Clause
// The audit's packets: what it sends, byte by byte where that matters, and what it makes of
// answers.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "loader/audit/listener.h"
#include "loader/audit/packet.h"
#include "tests/support/packet.h"

namespace tfo::test {
namespace {

using audit::parse_reply;
using audit::ReplyKind;
using audit::Segment;

audit::Address address(const std::string& text) {
  const auto parsed = audit::parse_packet_address(text);
  EXPECT_TRUE(parsed) << text;
  return parsed.value_or(audit::Address{});
}

Segment segment(int family) {
  Segment one;
  one.source = address(family == 4 ? "192.0.2.1" : "2001:db8::1");
  one.destination = address(family == 4 ? "198.51.100.7" : "2001:db8:1::7");
  one.source_port = 40123;
  one.destination_port = 443;
  one.sequence = 0xfffffffe;
  one.hop_limit = 1;
  return one;
}

/// As the server answers the SYN of segment().
Packet answer(int family, uint8_t flags, const Bytes& options = {}) {
  const Segment asked = segment(family);
  Packet packet = Packet::syn(audit::to_string(asked.destination), audit::to_string(asked.source));
  packet.l3().ports(443, 40123).flags(flags).option(options);
  packet.tcp.acknowledgment = asked.sequence + 1;
  return packet;
}

uint32_t folded_sum(View bytes, uint32_t sum) {
  for (size_t i = 0; i < bytes.size(); i += 2) {
    sum += static_cast<uint32_t>(bytes[i]) << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

Bytes cookie_option(size_t size) { return fast_open(Bytes(size, 0xc0)); }

class AuditPacket : public testing::TestWithParam<int> {};

TEST_P(AuditPacket, TheRequestIsASynWithAnEmptyOption) {
  const Bytes packet = audit::cookie_request(segment(GetParam()));
  const size_t ip = GetParam() == 4 ? 20 : 40;
  ASSERT_EQ(packet.size(), ip + 28);
  const Bytes tcp(packet.begin() + static_cast<ptrdiff_t>(ip), packet.end());
  EXPECT_EQ(Bytes(tcp.begin(), tcp.begin() + 14),
            (Bytes{0x9c, 0xbb, 0x01, 0xbb, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0, 0x70, 0x02}));
  const uint8_t mss = GetParam() == 4 ? 0xb4 : 0xa0;
  EXPECT_EQ(Bytes(tcp.begin() + 20, tcp.end()), (Bytes{2, 4, 5, mss, 34, 2, 1, 1}));
  EXPECT_EQ(packet[GetParam() == 4 ? 8 : 7], 1);  // hop limit
}

TEST_P(AuditPacket, ChecksumsAreRight) {
  for (const Bytes& packet :
       {audit::cookie_request(segment(GetParam())), audit::reset(segment(GetParam()))}) {
    const View all(packet.data(), packet.size());
    if (GetParam() == 4) {
      EXPECT_EQ(folded_sum(all.first(20), 0), 0xffffU);
    }
    const size_t from = GetParam() == 4 ? 12 : 8;  // addresses and segment
    const size_t tcp = packet.size() - (GetParam() == 4 ? 20 : 40);
    EXPECT_EQ(folded_sum(all.subspan(from), static_cast<uint32_t>(6 + tcp)), 0xffffU);
  }
}

TEST_P(AuditPacket, TheResetIsBareAndHasTheNumberGiven) {
  const Bytes packet = audit::reset(segment(GetParam()));
  const size_t ip = GetParam() == 4 ? 20 : 40;
  ASSERT_EQ(packet.size(), ip + 20);
  EXPECT_EQ(packet[ip + 13], 0x04);
  EXPECT_EQ(packet[ip + 7], 0xfe);
}

TEST_P(AuditPacket, ReadsTheCookieOfBothKinds) {
  const Bytes cookie = {1, 2, 3, 4, 5, 6, 7, 8};
  for (const auto& [option, kind] :
       {std::pair{fast_open(cookie), 34}, std::pair{fast_open_experimental(cookie), 254}}) {
    const auto reply = parse_reply(
        answer(GetParam(), kSyn | kAck, Bytes{2, 4, 5, 0xb4, 1}).option(option).frame());
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->kind, ReplyKind::syn_ack);
    EXPECT_EQ(reply->option_kind, kind);
    EXPECT_EQ(reply->cookie, cookie);
    const Segment asked = segment(GetParam());
    EXPECT_EQ(reply->asked.source, asked.source);
    EXPECT_EQ(reply->asked.destination, asked.destination);
    EXPECT_EQ(reply->asked.source_port, asked.source_port);
    EXPECT_EQ(reply->asked.destination_port, asked.destination_port);
    EXPECT_EQ(reply->asked.sequence, asked.sequence);
  }
}

TEST_P(AuditPacket, ReadsOptionsAsTheKernelDoes) {
  const auto size_of = [&](const Bytes& options) {
    const auto reply = parse_reply(answer(GetParam(), kSyn | kAck, options).frame());
    return reply ? static_cast<int>(reply->cookie.size()) : -1;
  };
  EXPECT_EQ(size_of({}), 0);
  EXPECT_EQ(size_of({34, 2}), 0);
  for (const size_t size : {4U, 6U, 16U}) EXPECT_EQ(size_of(cookie_option(size)), size);
  for (const size_t size : {1U, 2U, 7U, 18U}) EXPECT_EQ(size_of(cookie_option(size)), 0) << size;
  Bytes other_magic = fast_open_experimental(Bytes(8, 1));
  other_magic[3] = 0x88;
  EXPECT_EQ(size_of(other_magic), 0);
  EXPECT_EQ(size_of({34, 30}), 0);  // longer than the header
}

TEST_P(AuditPacket, AClosedPortAnswersRst) {
  const auto reply = parse_reply(answer(GetParam(), kRst | kAck).frame());
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->kind, ReplyKind::reset);
  EXPECT_EQ(reply->asked.sequence, segment(GetParam()).sequence);
  for (const uint8_t flags : {kSyn, kAck, kRst, static_cast<uint8_t>(kFin | kAck)}) {
    EXPECT_FALSE(parse_reply(answer(GetParam(), flags).frame())) << int{flags};
  }
}

/// An ICMP message that quotes the request.
Bytes icmp(int family, uint8_t type, uint8_t code, size_t quoted = SIZE_MAX) {
  const Bytes request = audit::cookie_request(segment(family));
  Bytes packet = answer(family, kSyn).frame();
  packet.resize(family == 4 ? 20 : 40);
  packet[family == 4 ? 9 : 6] = family == 4 ? 1 : 58;
  packet.insert(packet.end(), {type, code, 0, 0, 0, 0, 0, 0});
  packet.insert(packet.end(), request.begin(),
                request.begin() + static_cast<ptrdiff_t>(std::min(quoted, request.size())));
  const size_t length = family == 4 ? packet.size() : packet.size() - 40;
  packet[family == 4 ? 2 : 4] = static_cast<uint8_t>(length >> 8);
  packet[family == 4 ? 3 : 5] = static_cast<uint8_t>(length);
  return packet;
}

TEST_P(AuditPacket, IcmpIsReadFromWhatItQuotes) {
  const bool v4 = GetParam() == 4;
  const auto reply = parse_reply(icmp(GetParam(), v4 ? 3 : 1, v4 ? 1 : 3, (v4 ? 20 : 40) + 8));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->kind, ReplyKind::unreachable);
  EXPECT_EQ(reply->reason, v4 ? "host unreachable" : "address unreachable");
  EXPECT_EQ(reply->asked.sequence, segment(GetParam()).sequence);
  EXPECT_EQ(reply->asked.source_port, 40123);
  EXPECT_FALSE(reply->hop_limit_exceeded);
  EXPECT_TRUE(parse_reply(icmp(GetParam(), v4 ? 11 : 3, 0))->hop_limit_exceeded);
  EXPECT_FALSE(parse_reply(icmp(GetParam(), v4 ? 11 : 3, 1)));
  EXPECT_FALSE(parse_reply(icmp(GetParam(), v4 ? 8 : 128, 0)));
  EXPECT_FALSE(parse_reply(icmp(GetParam(), v4 ? 3 : 1, 1, (v4 ? 20 : 40) + 7)));
}

/// Whatever the length, it reads nothing beyond the end (the sanitizers watch).
TEST_P(AuditPacket, PacketsThatAreCutAreNoAnswers) {
  const Bytes whole = answer(GetParam(), kSyn | kAck, cookie_option(8)).frame();
  const Bytes refused = icmp(GetParam(), GetParam() == 4 ? 3 : 1, 1);
  for (const Bytes& packet : {whole, refused}) {
    for (size_t size = 0; size < packet.size(); size++) {
      const auto cut = std::make_unique<uint8_t[]>(size);
      std::copy_n(packet.begin(), size, cut.get());
      EXPECT_FALSE(parse_reply({cut.get(), size})) << size;
    }
    EXPECT_TRUE(parse_reply(packet));
  }
}

/// Does the kernel let a packet through the filter? Any datagram socket runs it.
bool passes(const std::vector<sock_filter>& filter, const Bytes& packet) {
  int ends[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  auto code = filter;
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  EXPECT_EQ(setsockopt(ends[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
  (void)send(ends[0], packet.data(), packet.size(), 0);
  uint8_t buffer[2048];
  const bool got = recv(ends[1], buffer, sizeof(buffer), 0) == static_cast<ssize_t>(packet.size());
  close(ends[0]);
  close(ends[1]);
  return got;
}

TEST_P(AuditPacket, TheFilterLetsAnswersPassAndNothingElse) {
  const int family = GetParam();
  const bool v4 = family == 4;
  const audit::Address ours = segment(family).source;
  const audit::Address other = address(v4 ? "192.0.2.2" : "2001:db8::2");
  // The second source only, too: its block lies behind the first one's.
  for (const auto& sources : std::vector<std::vector<audit::Address>>{
           {ours}, {other, ours}, {address(v4 ? "::1" : "127.0.0.1"), ours, other}}) {
    const auto filter = audit::reply_filter(family, sources);
    EXPECT_TRUE(passes(filter, answer(family, kSyn | kAck, cookie_option(8)).frame()));
    EXPECT_TRUE(passes(filter, answer(family, kSyn | kAck | kEce).frame()));
    EXPECT_TRUE(passes(filter, answer(family, kRst | kAck).frame()));
    EXPECT_TRUE(passes(filter, icmp(family, v4 ? 3 : 1, 1)));
    EXPECT_TRUE(passes(filter, icmp(family, v4 ? 11 : 3, 0)));
    EXPECT_FALSE(passes(filter, icmp(family, v4 ? 8 : 128, 0)));
    for (const uint8_t flags : {kSyn, kAck, kRst, static_cast<uint8_t>(kPsh | kAck)}) {
      EXPECT_FALSE(passes(filter, answer(family, flags).frame())) << int{flags};
    }
  }
  EXPECT_FALSE(passes(audit::reply_filter(family, {other}), answer(family, kSyn | kAck).frame()));
  EXPECT_EQ(audit::reply_filter(family, {}).size(), 1U);
}

TEST(AuditPacketV4, TheFilterFindsTcpBehindIpOptions) {
  const auto filter = audit::reply_filter(4, {segment(4).source});
  EXPECT_TRUE(passes(filter, answer(4, kSyn | kAck).ip_options({1, 1, 1, 1}).frame()));
  EXPECT_TRUE(parse_reply(answer(4, kSyn | kAck).ip_options({1, 1, 1, 1}).frame()));
}

INSTANTIATE_TEST_SUITE_P(Families, AuditPacket, testing::Values(4, 6));

}  // namespace
}  // namespace tfo::test
