// SPDX-License-Identifier: BSD-2-Clause
// The SYN-ACK monitor through the loaded programs: what is remembered, what is counted, to whom.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bpf/bloom.h"
#include "loader/dataplane/fd.h"
#include "tests/support/monitor_world.h"
#include "tests/support/outcome.h"
#include "tests/support/synack_cases.h"

namespace tfo::test::monitor_test {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint16_t kSubject = 3;
constexpr uint16_t kAround = 5;
constexpr const char* kInside = "192.0.2.7";
constexpr const char* kServer = "198.51.100.1";

tfo_target target(tfo_target_kind kind) {
  tfo_target target{};
  target.subject = kSubject;
  target.kind = static_cast<__u8>(kind);
  return target;
}

MonitorWorld world_of(tfo_target_kind kind, const std::string& address, unsigned length,
                      uint8_t monitor = TFO_MONITOR_ON) {
  auto world = MonitorWorld::make(monitor);
  if (!world) throw std::runtime_error(world.error().message);  // the test fails with it
  EXPECT_TRUE(world->watch(address, length, target(kind)));
  return std::move(*world);
}

Packet answer(const Packet& syn) {
  Packet packet = Packet::syn(syn.ip.destination, syn.ip.source);
  packet.ports(syn.tcp.destination, syn.tcp.source).flags(kSyn | kAck);
  packet.tcp.acknowledgment = syn.tcp.sequence + 1;
  return packet;
}

/// One client and one server on the loopback device, with connections in the states of the table.
class Sockets {
 public:
  Sockets() : listener_(socket()) {
    sockaddr_in at = loopback(0);
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&at), sizeof(at)), 0);
    listen(listener_.get(), 0);
    port_ = port_of(listener_);
    for (Fd* client : {&established_, &waiting_}) {
      *client = socket();
      at = loopback(port_);
      const int done = connect(client->get(), reinterpret_cast<sockaddr*>(&at), sizeof(at));
      EXPECT_TRUE(done == 0 || errno == EINPROGRESS);
      // Once it lies in the queue there is no room for the next one.
      pollfd queue{.fd = listener_.get(), .events = POLLIN, .revents = 0};
      EXPECT_EQ(poll(&queue, 1, 10'000), 1);
    }
  }

  /// The first fills the listener's queue, so that the second one's SYNs are dropped.
  Packet syn_ack(uint32_t state) const {
    if (state == TFO_SOCKET_LISTEN) return unasked("127.0.0.1", "127.0.0.1", port_);
    if (state == kNoSocket) return unasked("127.0.0.1", "127.0.0.1", 1);
    Packet packet =
        unasked("127.0.0.1", "127.0.0.1", port_of(state == kEstablished ? established_ : waiting_));
    packet.tcp.source = port_;
    return packet;
  }

 private:
  static Fd socket() { return Fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)); }
  static sockaddr_in loopback(uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(port);
    return at;
  }
  static uint16_t port_of(const Fd& fd) {
    sockaddr_in at{};
    socklen_t size = sizeof(at);
    getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size);
    return ntohs(at.sin_port);
  }
  Fd listener_, established_, waiting_;
  uint16_t port_ = 0;
};

/// Which of a subject's counters a packet moved: enum tfo_synack_says; -1: none.
int said(const tfo_monitor_counters& before, const tfo_monitor_counters& after) {
  if (after.answered != before.answered) return TFO_SYNACK_ANSWER;
  if (after.known != before.known) return TFO_SYNACK_KNOWN;
  if (after.blind != before.blind) return TFO_SYNACK_BLIND;
  const bool counted = after.unsolicited[0][0].packets == before.unsolicited[0][0].packets + 1;
  return counted ? TFO_SYNACK_UNSOLICITED : -1;
}

TEST(Monitor, SynAcksAreJudgedAsTheTableSays) {
  const Sockets sockets;
  for (const bool asked : {false, true}) {
    auto world = MonitorWorld::make(TFO_MONITOR_ON | (asked ? TFO_MONITOR_SOCKETS : 0));
    ASSERT_OK(world);
    for (const SynAckCase& one : kSynAckCases) {
      if (one.sockets != asked) continue;
      ASSERT_OK(world->watch("127.0.0.1", 32, target(static_cast<tfo_target_kind>(one.kind))));
      const Packet packet = sockets.syn_ack(one.state);
      if (one.remembered) ASSERT_OK(world->leave(answer(packet).flags(kSyn)));
      const auto before = world->counters(kSubject);
      ASSERT_OK(before);
      ASSERT_OK(world->arrive(packet));
      const auto after = world->counters(kSubject);
      ASSERT_OK(after);
      EXPECT_EQ(said(*before, *after), one.says) << one.name;
      world->advance(4ULL << TFO_EPOCH_SHIFT);  // all is forgotten
    }
  }
}

struct Way {
  const char* name;
  const char* inside;
  const char* server;
  unsigned length;
};
constexpr Way kWays[] = {{"IPv4", "192.0.2.7", "198.51.100.1", 24},
                         {"IPv6", "2001:db8:1::7", "2001:db8:2::1", 64}};

TEST(Monitor, ASynIsRememberedForTwoMinutes) {
  for (const Way& way : kWays) {
    auto world = world_of(TFO_TARGET_TRACKED, way.inside, way.length);
    const Packet syn = Packet::syn(way.inside, way.server);
    Packet other = syn;
    other.ports(40001, 443);
    ASSERT_OK(world.leave(syn));
    world.advance(137 * kSecond);
    ASSERT_OK(world.arrive(answer(syn)));
    EXPECT_EQ(world.counters(kSubject)->answered, 1U) << way.name;
    ASSERT_OK(world.arrive(answer(other)));
    EXPECT_EQ(world.unsolicited(kSubject)->packets, 1U) << way.name;
    world.advance(70 * kSecond);
    ASSERT_OK(world.arrive(answer(syn)));
    EXPECT_EQ(world.unsolicited(kSubject)->packets, 2U) << way.name << ": forgotten";
    EXPECT_EQ(world.counters(kSubject)->answered, 1U) << way.name;
  }
}

/// SYN proxies answer with a wrong number on purpose: an answer all the same, and told apart.
TEST(Monitor, AWrongNumberIsAnAnswer) {
  auto world = world_of(TFO_TARGET_TRACKED, kInside, 32);
  Packet syn = Packet::syn(kInside, kServer);
  syn.tcp.sequence = 0xfffffff0;
  ASSERT_OK(world.leave(syn));
  for (const uint32_t past : {0U, 1U, 1460U, 0x20000U, 0x80000000U}) {
    Packet packet = answer(syn);
    packet.tcp.acknowledgment += past;
    ASSERT_OK(world.arrive(packet));
  }
  EXPECT_EQ(world.counters(kSubject)->answered, 5U);
  EXPECT_EQ(world.counters(kSubject)->mismatched, 2U);
}

/// SYNs that leave in every shape in which they do.
TEST(Monitor, EverySynThatLeavesIsRemembered) {
  auto world = world_of(TFO_TARGET_TRACKED, kInside, 32);
  std::vector<Packet> syns(5, Packet::syn(kInside, kServer));
  syns[1].tag();
  syns[2].ip_options(Bytes{1, 1, 1, 1});
  syns[3].option(fast_open(Bytes(8, 7))).data(1000);
  syns[4].tag(kQinQ).tag();
  for (size_t i = 0; i < syns.size(); i++) {
    syns[i].ports(static_cast<uint16_t>(50000 + i), 80);
    ASSERT_OK(world.leave(syns[i]));
    ASSERT_OK(world.arrive(answer(syns[i])));
    EXPECT_EQ(world.counters(kSubject)->answered, i + 1) << syns[i].text();
  }
  EXPECT_EQ(world.unsolicited(kSubject)->packets, 0U);
}

TEST(Monitor, OnlyWhatIsWatchedCounts) {
  auto world = world_of(TFO_TARGET_VIP, kInside, 32);
  ASSERT_OK(world.arrive(unasked(kServer, "192.0.2.8")));
  ASSERT_OK(world.leave(Packet::syn("192.0.2.8", kServer)));
  Packet mapped = unasked("2001:db8::1", "::ffff:192.0.2.7");
  ASSERT_OK(world.arrive(mapped));
  EXPECT_EQ(world.unsolicited(kSubject)->packets, 0U);
  EXPECT_EQ(world.counters(kSubject)->syns_out, 0U);
  const auto cpus = world.cpus();
  ASSERT_OK(cpus);
  for (const auto& cpu : *cpus) EXPECT_EQ(cpu.fill[0][0].inserts, 0U);
}

TEST(Monitor, CountsByOptionAndPayload) {
  auto world = world_of(TFO_TARGET_VIP, kInside, 32);
  const Bytes cookie(8, 9);
  const auto send = [&](bool option, bool payload, uint16_t port) {
    Packet packet = unasked(kServer, kInside, port);
    if (option) packet.option(fast_open(cookie));
    if (payload) packet.data(300);
    return world.arrive(packet);
  };
  for (uint16_t i = 0; i < 10; i++) {
    ASSERT_OK(send(i >= 4, i >= 7, static_cast<uint16_t>(1000 + i)));
  }
  ASSERT_OK(world.arrive(unasked(kServer, kInside, 99).option(fast_open_experimental(cookie))));
  const auto counters = world.counters(kSubject);
  ASSERT_OK(counters);
  EXPECT_EQ(counters->unsolicited[0][0].packets, 4U);
  EXPECT_EQ(counters->unsolicited[0][0].bytes, 4U * 40);
  EXPECT_EQ(counters->unsolicited[1][0].packets, 3U + 1U);
  EXPECT_EQ(counters->unsolicited[1][1].packets, 3U);
  EXPECT_EQ(counters->unsolicited[1][1].bytes, 3U * (40 + 12 + 300));
  EXPECT_EQ(counters->payload, 900U);
  EXPECT_EQ(counters->repeats, 0U);
}

TEST(Monitor, RepeatsAndWhatFollows) {
  auto world = world_of(TFO_TARGET_VIP, kInside, 32);
  const Packet first = unasked(kServer, kInside);
  for (int i = 0; i < 3; i++) ASSERT_OK(world.arrive(first));
  EXPECT_EQ(world.counters(kSubject)->repeats, 2U);
  Packet data = first;
  data.flags(kAck | kPsh).data(500);
  ASSERT_OK(world.arrive(data));
  EXPECT_EQ(world.counters(kSubject)->after.packets, 0U) << "nobody looks while there is no alarm";
  world.xdp().control().monitor_alarm = ~tfo_alarm_bit(7);  // of others
  ASSERT_OK(world.arrive(data));
  EXPECT_EQ(world.counters(kSubject)->after.packets, 0U);
  world.xdp().control().monitor_alarm = tfo_alarm_bit(7);
  ASSERT_OK(world.arrive(data));
  Packet stranger = data;
  stranger.ports(444, 1);
  ASSERT_OK(world.arrive(stranger));
  EXPECT_EQ(world.counters(kSubject)->after.packets, 1U);
  EXPECT_EQ(world.counters(kSubject)->after.bytes, 500U);
}

TEST(Monitor, ResetsOfClosedPorts) {
  auto world = world_of(TFO_TARGET_TRACKED, kInside, 32);
  ASSERT_OK(world.watch("192.0.2.9", 32, [] {
    tfo_target vip = target(TFO_TARGET_VIP);
    vip.subject = kAround;
    return vip;
  }()));
  const Packet syn = Packet::syn(kInside, kServer);
  Packet refused = answer(syn).flags(kRst | kAck);
  refused.tcp.sequence = 0;
  ASSERT_OK(world.leave(syn));
  ASSERT_OK(world.arrive(refused));
  EXPECT_EQ(world.counters(kSubject)->resets, 0U) << "an honest refusal";
  refused.tcp.destination++;
  ASSERT_OK(world.arrive(refused));
  EXPECT_EQ(world.counters(kSubject)->resets, 1U);
  Packet vip = unasked(kServer, "192.0.2.9").flags(kRst | kAck);
  ASSERT_OK(world.arrive(vip));
  EXPECT_EQ(world.counters(kAround)->resets, 0U) << "it has a sequence number";
  vip.tcp.sequence = 0;
  ASSERT_OK(world.arrive(vip));
  EXPECT_EQ(world.counters(kAround)->resets, 1U);
  EXPECT_EQ(world.unsolicited(kAround)->packets, 0U);
}

/// A VIP inside a declared prefix counts for both.
TEST(Monitor, CarpetOfADeclaredPrefix) {
  auto world = MonitorWorld::make();
  ASSERT_OK(world);
  tfo_target prefix = target(TFO_TARGET_TRACKED);
  prefix.subject = prefix.around = kAround;
  prefix.around_length = 96 + 23;
  prefix.first = 512;
  tfo_target vip = prefix;
  vip.subject = kSubject;
  vip.kind = TFO_TARGET_VIP;
  ASSERT_OK(world->watch("192.0.2.0", 23, prefix));
  ASSERT_OK(world->watch("192.0.2.7", 32, vip));
  for (int i = 0; i < 40; i++) {
    ASSERT_OK(world->arrive(unasked(kServer, "192.0.3." + std::to_string(i % 20), 7)));
  }
  ASSERT_OK(world->arrive(unasked(kServer, "192.0.2.7")));
  EXPECT_EQ(world->unsolicited(kAround)->packets, 41U);
  EXPECT_EQ(world->unsolicited(kSubject)->packets, 1U);
  const auto cell = [&](uint32_t index) {
    __u32 value = 0;
    bpf_map_lookup_elem(world->xdp().map_fd("cells"), &index, &value);
    return value;
  };
  EXPECT_EQ(cell(512 + 7), 1U);
  EXPECT_EQ(cell(512 + 256 + 19), 2U);
  EXPECT_EQ(cell(512 + 256 + 20), 0U);
  const uint32_t net = 3;
  tfo_hit_map hits{};
  ASSERT_EQ(bpf_map_lookup_elem(world->xdp().map_fd("hit_maps"), &net, &hits), 0);
  const uint32_t window = tfo_window(world->now());
  EXPECT_EQ(hits.bank[window & 1][0] & 0xffffffff, (1U << 20) - 1);
}

TEST(Monitor, SamplesShowThePacket) {
  auto world = world_of(TFO_TARGET_VIP, "2001:db8:1::7", 128);
  Packet packet = unasked("2001:db8:2::1", "2001:db8:1::7");
  packet.option(fast_open(Bytes(8, 9))).data(100);
  packet.ip.ttl = 51;
  packet.tcp.acknowledgment = 77;
  ASSERT_OK(world.arrive(packet));
  const auto samples = world.samples();
  ASSERT_OK(samples);
  ASSERT_EQ(samples->size(), 1U);
  const tfo_sample& sample = samples->front();
  EXPECT_EQ(sample.weight, 1U);
  EXPECT_EQ(sample.subject, kSubject);
  EXPECT_EQ(sample.time_ns, world.now());
  EXPECT_EQ(ntohs(sample.source_port), 443);
  EXPECT_EQ(ntohs(sample.destination_port), 40000);
  EXPECT_EQ(sample.ack, 77U);
  EXPECT_EQ(sample.ttl, 51);
  EXPECT_EQ(sample.flags, TFO_SAMPLE_OPTION | TFO_SAMPLE_PAYLOAD);
  EXPECT_EQ(sample.header_length, 40 + 32);
  EXPECT_EQ(sample.tcp, 40);
  EXPECT_EQ(sample.length, 40 + 32 + 100);
  const Bytes frame = packet.frame();
  EXPECT_EQ(std::memcmp(sample.headers, frame.data() + 14, sample.header_length), 0);
  EXPECT_EQ(std::memcmp(sample.source, sample.headers + 8, 16), 0);
}

/// Ring full: counted as lost, and the counters stay exact.
TEST(Monitor, LostSamplesAreCounted) {
  auto world = world_of(TFO_TARGET_VIP, kInside, 32);
  uint64_t sent = 0;
  for (int window = 0; window < 16; window++) {  // each has its own budget
    for (int i = 0; i < 900; i++, sent++) ASSERT_OK(world.arrive(unasked(kServer, kInside)));
    world.advance(kSecond / 10);
  }
  const auto counters = world.counters(kSubject);
  EXPECT_EQ(world.unsolicited(kSubject)->packets, sent);
  EXPECT_GT(counters->samples_lost, 0U);
  EXPECT_EQ(counters->samples + counters->samples_lost, sent);
  EXPECT_EQ(world.samples()->size(), counters->samples);
}

TEST(Monitor, AFloodingSourceFillsItsOwnFilter) {
  auto world = MonitorWorld::make(TFO_MONITOR_ON, 256);
  ASSERT_OK(world);
  ASSERT_OK(world->watch("192.0.2.0", 24, target(TFO_TARGET_TRACKED)));
  for (uint16_t i = 0; i < 1000; i++) {
    ASSERT_OK(
        world->leave(Packet::syn(kInside, kServer).ports(static_cast<uint16_t>(1024 + i), 80)));
  }
  ASSERT_OK(world->leave(Packet::syn("192.0.2.8", kServer)));
  uint64_t main = 0, heavy = 0;
  const uint32_t epoch = tfo_epoch(world->now());
  const auto cpus = world->cpus();
  ASSERT_OK(cpus);
  for (const auto& cpu : *cpus) {
    main += cpu.fill[TFO_BLOOM_MAIN][epoch % TFO_BLOOM_WORDS].inserts;
    heavy += cpu.fill[TFO_BLOOM_HEAVY][epoch % TFO_BLOOM_WORDS].inserts;
  }
  EXPECT_EQ(main, tfo_source_limit(255) + 1);
  EXPECT_GT(heavy, 900U);
  // All of them are remembered, wherever they stand.
  for (uint16_t i = 0; i < 1000; i++) {
    Packet syn = Packet::syn(kInside, kServer).ports(static_cast<uint16_t>(1024 + i), 80);
    ASSERT_OK(world->arrive(answer(syn)));
  }
  EXPECT_EQ(world->counters(kSubject)->answered, 1000U);
}

TEST(Monitor, InsideInterfaceRemembersWhatComesIn) {
  auto world = world_of(TFO_TARGET_TRACKED, kInside, 32, TFO_MONITOR_ON | TFO_MONITOR_INSIDE);
  std::vector<Packet> syns(2, Packet::syn(kInside, kServer));
  syns[1].ip_options(Bytes{1, 1, 1, 1}).ports(1, 2);
  for (const Packet& syn : syns) {
    ASSERT_OK(world.arrive(syn));
    ASSERT_OK(world.arrive(answer(syn)));
  }
  EXPECT_EQ(world.counters(kSubject)->answered, 2U);
}

TEST(Monitor, OffItCountsNothing) {
  auto world = world_of(TFO_TARGET_VIP, kInside, 32, 0);
  ASSERT_OK(world.arrive(unasked(kServer, kInside)));
  ASSERT_OK(world.leave(Packet::syn(kInside, kServer)));
  EXPECT_EQ(world.unsolicited(kSubject)->packets, 0U);
  EXPECT_EQ(world.counters(kSubject)->syns_out, 0U);
}

}  // namespace
}  // namespace tfo::test::monitor_test
