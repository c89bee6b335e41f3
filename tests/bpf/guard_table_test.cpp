// SPDX-License-Identifier: BSD-2-Clause
// The guard's tables through the loaded program: copies of SYNs, full tables, floods, ICMP errors,
// blindness, and the exact form with the egress program.
#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/guard_egress.h"
#include "tests/support/guard_world.h"
#include "tests/support/outcome.h"

namespace tfo::test::guard_table_test {
namespace {

constexpr uint32_t kData = 20;  // bytes in the SYNs

tfo_guard limit(uint32_t network) {
  tfo_guard guard{};
  guard.flags = TFO_GUARD_ON;
  guard.limit[TFO_LEVEL_NETWORK] = guard.limit[TFO_LEVEL_SITE] = network;
  return guard;
}

TEST(GuardCopies, TheSameSynDataGoesThroughOnce) {
  tfo_guard guard = limit(8);
  guard.duplicate_ticks = static_cast<__u32>(60 * kSecond / kTick);
  auto world = GuardWorld::make(guard);
  ASSERT_OK(world);
  const Packet syn = GuardWorld::syn("10.0.0.1");
  EXPECT_EQ(*world->send(syn), TFO_GUARD_OK);
  EXPECT_EQ(*world->send(syn), TFO_GUARD_DUPLICATE);
  ASSERT_OK(world->send(GuardWorld::segment(syn, kAck, kData)));
  world->advance(59 * kSecond);
  EXPECT_EQ(*world->send(syn), TFO_GUARD_DUPLICATE) << "settled, and not forgotten";
  world->advance(2 * kSecond);
  EXPECT_EQ(*world->send(syn), TFO_GUARD_OK) << "out of the window";
  Packet next = syn;
  next.tcp.sequence++;
  EXPECT_EQ(*world->send(next), TFO_GUARD_OK) << "another ISN: another connection";
}

TEST(GuardCopies, WithoutDataThereIsNoCopy) {
  tfo_guard guard = limit(8);
  guard.duplicate_ticks = 60'000;
  auto world = GuardWorld::make(guard);
  ASSERT_OK(world);
  const Packet bare = GuardWorld::syn("10.0.0.1", 0);
  for (int i = 0; i < 2; i++) EXPECT_EQ(*world->send(bare), TFO_GUARD_OK);
  EXPECT_EQ(world->vip()->head.opened, 2U) << "the server may have lost the first";
  // A Linux client's retransmission: no data, no option.
  const Packet first = GuardWorld::syn("10.0.0.2");
  Packet again = Packet::syn(first.ip.source, first.ip.destination);
  EXPECT_EQ(*world->send(first), TFO_GUARD_OK);
  EXPECT_EQ(*world->send(again), TFO_GUARD_OK);
}

TEST(GuardCopies, NoWindowNoCopy) {
  auto world = GuardWorld::make(limit(8));
  ASSERT_OK(world);
  for (int i = 0; i < 2; i++) EXPECT_EQ(*world->send(GuardWorld::syn("10.0.0.1")), TFO_GUARD_OK);
  EXPECT_EQ(world->vip()->head.opened, 2U) << "it counts like any other";
}

TEST(GuardCopies, DataInLaterFragmentsIsDataToo) {
  tfo_guard guard = limit(8);
  guard.duplicate_ticks = static_cast<__u32>(60 * kSecond / kTick);
  auto world = GuardWorld::make(guard);
  ASSERT_OK(world);
  const Packet syn = GuardWorld::syn("10.0.0.1", 400);
  Bytes first = syn.frame();
  const size_t header = size_t{first[14 + 20 + 12]} / 16 * 4;
  first.resize(14 + 20 + header);
  first[17] = static_cast<uint8_t>(20 + header);
  first[16] = 0;
  first[20] = 0x20;  // more fragments
  for (uint64_t copies = 0; copies < 3; copies++) {
    ASSERT_OK(world->pour(first));
    EXPECT_EQ(world->counters()->answer[TFO_GUARD_DUPLICATE], copies);
  }
  EXPECT_EQ(world->vip()->head.opened, 1U);
  ASSERT_OK(world->send(GuardWorld::segment(syn, kRst, 0)));
  EXPECT_EQ(world->counters()->outcome[TFO_OUTCOME_RESET], 0U) << "more data than was seen";
}

TEST(GuardTable, AFullTableForgetsTheOlderAndNeverSticks) {
  constexpr uint32_t kHandshakes = 1024;
  auto world = GuardWorld::make(limit(0), kHandshakes);
  ASSERT_OK(world);
  for (unsigned i = 0; i < 4 * kHandshakes; i++) {
    if (i == 3 * kHandshakes) world->advance(10 * kSecond);
    ASSERT_OK(world->pour(GuardWorld::syn(client4(i / 200, i % 200)).frame()));
  }
  EXPECT_GT(*world->handshakes(TFO_HANDSHAKE_PENDING), kHandshakes * 9 / 10);
  EXPECT_GT(world->vip()->forgotten, 2 * kHandshakes);
  uint64_t settled = 0;
  for (unsigned i = 3 * kHandshakes; i < 4 * kHandshakes; i++) {
    const Packet syn = GuardWorld::syn(client4(i / 200, i % 200));
    ASSERT_OK(world->pour(GuardWorld::segment(syn, kAck, kData).frame()));
  }
  settled = world->counters()->outcome[TFO_OUTCOME_ACCEPTED];
  EXPECT_GT(settled, kHandshakes / 2) << "the young ones are there";
  world->advance(150 * kSecond);
  const Packet syn = GuardWorld::syn("10.99.0.1");
  ASSERT_OK(world->pour(syn.frame()));
  ASSERT_OK(world->pour(GuardWorld::segment(syn, kAck, kData).frame()));
  EXPECT_EQ(world->counters()->outcome[TFO_OUTCOME_ACCEPTED], settled + 1);
  EXPECT_EQ(world->counters()->outcome[TFO_OUTCOME_TIMEOUT], 4 * kHandshakes - settled)
      << "what was forgotten timed out";
}

TEST(GuardTable, AHintGoesWithTheLastPendingHandshake) {
  constexpr uint32_t kHandshakes = 65536;  // so many that no set has three
  auto world = GuardWorld::make(limit(0), kHandshakes);
  ASSERT_OK(world);
  std::vector<Packet> syns;
  syns.reserve(200);
  for (unsigned i = 0; i < 200; i++) syns.push_back(GuardWorld::syn(client4(0, i)));
  for (const Packet& syn : syns) ASSERT_OK(world->pour(syn.frame()));
  for (const Packet& syn : syns) {
    ASSERT_OK(world->pour(GuardWorld::segment(syn, kAck, kData).frame()));
  }
  for (uint32_t i = 0; i < kHandshakes / 128; i++) {
    uint64_t bits = 0;
    ASSERT_EQ(bpf_map_lookup_elem(world->xdp().map_fd("handshake_bits"), &i, &bits), 0);
    EXPECT_EQ(bits, 0U) << i;
  }
  EXPECT_EQ(world->counters()->outcome[TFO_OUTCOME_ACCEPTED], syns.size());
}

/// Bytes that the kernel keeps for the guard's maps.
uint64_t memory_of(const GuardWorld& world) {
  uint64_t sum = 0;
  for (const char* name : {"handshake_bits", "handshakes", "guard_heads", "guard_rows", "retries",
                           "guards", "guard_vips", "guard_stats", "guard_events"}) {
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(world.xdp().map_fd(name)));
    for (std::string word; info >> word;) {
      if (word != "memlock:") continue;
      uint64_t bytes = 0;
      info >> bytes;
      EXPECT_NE(bytes, 0U) << name;
      sum += bytes;
    }
  }
  return sum;
}

/// Many networks, one silent handshake each: the tables stay as they are, and whoever is honest
/// among them is asked nothing.
TEST(GuardTable, AFloodFromAMillionNetworksPunishesNobody) {
  constexpr unsigned kNetworks = 1'000'000;
  auto world = GuardWorld::make(limit(8), 16384);
  ASSERT_OK(world);
  Packet packet = GuardWorld::syn("10.0.0.1");
  const Packet honest = GuardWorld::syn("192.168.7.1");
  const uint64_t memory = memory_of(*world);
  unsigned refused = 0, asked = 0;
  for (unsigned i = 0; i < kNetworks; i++) {
    GuardWorld::from_number(packet, i << 8 | 1);
    ASSERT_OK(world->pour(packet.frame()));
    if (i % 20000 != 0) continue;
    Packet syn = honest;
    syn.tcp.sequence += i;
    refused += *world->send(syn) == TFO_GUARD_OK ? 0 : 1;
    ASSERT_OK(world->pour(GuardWorld::segment(syn, kAck, kData).frame()));
    world->advance(kSecond);
    asked++;
  }
  EXPECT_EQ(memory_of(*world), memory);
  EXPECT_EQ(refused, 0U) << "of " << asked;
  EXPECT_EQ(world->counters()->outcome[TFO_OUTCOME_ACCEPTED], asked);
  EXPECT_EQ(world->counters()->over[TFO_LEVEL_NETWORK], 0U);
}

TEST(GuardTable, RowsThatAreGuardedAreNotGivenAway) {
  auto world = GuardWorld::make(limit(8), 1024);
  ASSERT_OK(world);
  for (unsigned i = 0; i < 9; i++) ASSERT_OK(world->pour(GuardWorld::syn(client4(1, i)).frame()));
  for (unsigned i = 0; i < 2000; i++) {
    ASSERT_OK(world->pour(GuardWorld::syn(client4(1000 + i, 1)).frame()));
  }
  EXPECT_EQ(*world->send(GuardWorld::syn(client4(1, 77))), TFO_GUARD_OVER);
}

// --- ICMP

Bytes icmp_unreachable(const Packet& syn, uint8_t type, uint8_t code) {
  Packet quoted = Packet::syn(syn.ip.destination, syn.ip.source);
  quoted.ports(syn.tcp.destination, syn.tcp.source).flags(kSyn | kAck);
  quoted.tcp.sequence = 77;
  Bytes inner = quoted.frame();
  const bool v6 = syn.ip.source.v6;
  inner.erase(inner.begin(), inner.begin() + 14);
  inner.resize(v6 ? 48 : 28);
  Packet carrier = Packet::syn(v6 ? "2001:db8::ffff" : "198.51.100.1", syn.ip.destination.text());
  Bytes frame = carrier.frame();
  frame.resize(14 + (v6 ? 40 : 20));
  const auto length = static_cast<uint16_t>(8 + inner.size() + (v6 ? 0 : 20));
  const size_t at = v6 ? 14 + 4 : 14 + 2;
  frame[at] = static_cast<uint8_t>(length >> 8);
  frame[at + 1] = static_cast<uint8_t>(length);
  frame[v6 ? 14 + 6 : 14 + 9] = v6 ? 58 : 1;
  const Bytes icmp{type, code, 0, 0, 0, 0, 0, 0};
  frame.insert(frame.end(), icmp.begin(), icmp.end());
  frame.insert(frame.end(), inner.begin(), inner.end());
  return frame;
}

TEST(GuardIcmp, AnUnreachableIsCountedOnceAndSettlesNothing) {
  auto world = GuardWorld::make(limit(8));
  ASSERT_OK(world);
  const std::tuple<const char*, uint8_t, uint8_t, uint64_t> errors[] = {
      {"10.0.0.1", 8, 0, 0},  // an echo request
      {"10.0.0.1", 3, 4, 0},  // fragmentation needed
      {"10.0.0.1", 3, 1, 1},
      {"2001:db8:9::1", 2, 0, 1},  // packet too big
      {"2001:db8:9::1", 1, 3, 2}};
  for (const auto& [client, type, code, unreachable] : errors) {
    const Packet syn = GuardWorld::syn(client);
    ASSERT_OK(world->pour(syn.frame()));
    for (int i = 0; i < 2; i++) ASSERT_OK(world->pour(icmp_unreachable(syn, type, code)));
    EXPECT_EQ(world->counters()->outcome[TFO_OUTCOME_UNREACHABLE], unreachable)
        << client << ' ' << int{type};
  }
  const auto head = world->vip()->head;
  EXPECT_EQ(head.opened - head.gone, std::size(errors)) << "the server may still hold them all";
  ASSERT_OK(world->send(GuardWorld::segment(GuardWorld::syn("2001:db8:9::1"), kAck, kData)));
  EXPECT_EQ(world->counters()->outcome[TFO_OUTCOME_ACCEPTED], 1U);
}

// --- blindness

/// Five networks that answer; from then on `answering` of them still do, for some buckets.
Result<GuardWorld> after_a_change(unsigned answering) {
  auto world = GuardWorld::make(limit(20), 4096);
  if (!world) return world;
  for (unsigned bucket = 0; bucket < 6; bucket++) {
    for (unsigned i = 0; i < 5 * 6; i++) {
      Packet syn = GuardWorld::syn(client4(i % 5, i));
      syn.tcp.sequence += bucket * 1000;
      if (auto done = world->pour(syn.frame()); !done) return tl::unexpected(done.error());
      if (bucket >= 2 && i % 5 >= answering) continue;
      auto done = world->pour(GuardWorld::segment(syn, kAck, kData).frame());
      if (!done) return tl::unexpected(done.error());
    }
    world->advance(kBucket);
  }
  return world;
}

TEST(GuardBlind, WhenMostNetworksFallSilentNobodyIsPunished) {
  auto world = after_a_change(0);
  ASSERT_OK(world);
  EXPECT_EQ(*world->send(GuardWorld::syn(client4(1, 200))), TFO_GUARD_OK);
  EXPECT_GT(world->counters()->held, 0U);
  EXPECT_NE(world->vip()->blind_epoch, 0U);
}

TEST(GuardBlind, FullQueuesAtTheServersEndIt) {
  auto world = after_a_change(0);
  ASSERT_OK(world);
  tfo_guard guard = limit(20);
  guard.flags |= TFO_GUARD_OVERFLOW;
  ASSERT_OK(world->set(guard));
  EXPECT_EQ(*world->send(GuardWorld::syn(client4(1, 200))), TFO_GUARD_OVER);
}

TEST(GuardBlind, OneSilentNetworkIsNoSuchSign) {
  auto world = after_a_change(4);
  ASSERT_OK(world);
  EXPECT_EQ(*world->send(GuardWorld::syn(client4(4, 200))), TFO_GUARD_OVER);
  EXPECT_EQ(*world->send(GuardWorld::syn(client4(1, 200))), TFO_GUARD_OK);
  EXPECT_EQ(world->vip()->blind_epoch, 0U);
}

TEST(GuardBlind, SilentNetworksThatNeverAnsweredAreNoSuchSign) {
  auto world = after_a_change(5);
  ASSERT_OK(world);
  for (unsigned bucket = 0; bucket < 4; bucket++) {
    for (unsigned i = 0; i < 20 * 6; i++) {
      ASSERT_OK(world->pour(GuardWorld::syn(client4(100 + i % 20, bucket * 6 + i / 20)).frame()));
    }
    world->advance(kBucket);
  }
  EXPECT_EQ(world->vip()->blind_epoch, 0U);
  EXPECT_EQ(*world->send(GuardWorld::syn(client4(100, 200))), TFO_GUARD_OVER);
}

TEST(GuardBlind, WhenNobodyAnswersForTwoMinutesNobodyIsPunished) {
  auto world = GuardWorld::make(limit(4));
  ASSERT_OK(world);
  for (unsigned i = 0; i < 40; i++) {
    const uint64_t passed = i * 5 * kSecond;
    const auto answer = *world->send(GuardWorld::syn(client4(0, i)));
    if (passed < 120 * kSecond) {
      EXPECT_EQ(answer, i < 4 ? TFO_GUARD_OK : TFO_GUARD_OVER) << i;
    } else if (passed > TFO_BUCKETS * kBucket) {
      EXPECT_EQ(answer, TFO_GUARD_OK) << i;
    }
    world->advance(5 * kSecond);
  }
  EXPECT_GT(world->counters()->held, 0U);
}

// --- the exact form

class GuardExact : public testing::TestWithParam<const char*> {};

TEST_P(GuardExact, OnlyWhoReceivedTheSynAckSettles) {
  tfo_guard guard = limit(8);
  guard.flags |= TFO_GUARD_EXACT;
  auto world = GuardWorld::make(guard);
  ASSERT_OK(world);
  auto egress = load_egress(world->xdp());
  ASSERT_OK(egress);
  constexpr uint32_t kIsn = 0x9abcdef0;
  const Packet syn = GuardWorld::syn(GetParam());
  const auto accepted = [&] { return world->counters()->outcome[TFO_OUTCOME_ACCEPTED]; };
  ASSERT_OK(world->send(syn));
  ASSERT_OK(world->send(GuardWorld::segment(syn, kAck, kData, kIsn + 1)));
  EXPECT_EQ(accepted(), 0U) << "no SYN-ACK has left";
  ASSERT_OK(leave(*egress, syn_ack(syn, kIsn + 9, kData + 1)));
  ASSERT_OK(world->send(GuardWorld::segment(syn, kAck, kData, kIsn + 10)));
  EXPECT_EQ(accepted(), 0U) << "it acknowledged another SYN";
  ASSERT_OK(leave(*egress, syn_ack(syn, kIsn, kData)));
  ASSERT_OK(world->send(GuardWorld::segment(syn, kAck, kData, kIsn)));
  ASSERT_OK(world->send(GuardWorld::segment(syn, kAck, kData, kIsn + 2)));
  EXPECT_EQ(accepted(), 0U) << "guessed";
  ASSERT_OK(world->send(GuardWorld::segment(syn, kAck, kData, kIsn + 1)));
  EXPECT_EQ(accepted(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Families, GuardExact, testing::Values("10.0.0.1", "2001:db8:7::1"),
                         [](const auto& one) { return one.index == 0 ? "IPv4" : "IPv6"; });

TEST(GuardEgress, WhereItRunsAnAckMustFitThoughItIsNotAskedFor) {
  auto world = GuardWorld::make(limit(8));
  ASSERT_OK(world);
  auto egress = load_egress(world->xdp());
  ASSERT_OK(egress);
  const Packet syn = GuardWorld::syn("10.0.0.1");
  ASSERT_OK(world->send(syn));
  ASSERT_OK(leave(*egress, syn_ack(syn, 500, 0)));
  ASSERT_OK(world->send(GuardWorld::segment(syn, kAck, 0, 7)));
  EXPECT_EQ(world->counters()->outcome[TFO_OUTCOME_NOT_ACCEPTED], 0U);
  ASSERT_OK(world->send(GuardWorld::segment(syn, kAck, 0, 501)));
  EXPECT_EQ(world->counters()->outcome[TFO_OUTCOME_NOT_ACCEPTED], 1U);
}

}  // namespace
}  // namespace tfo::test::guard_table_test
