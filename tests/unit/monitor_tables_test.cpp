// SPDX-License-Identifier: BSD-2-Clause
// The heaviest senders out of samples: Space-Saving alone, and behind the sampler of the program.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "bpf/sampler.h"
#include "bpf/tcpopt.h"
#include "loader/monitor/attack_tables.h"

namespace tfo::monitor_tables_test {
namespace {

constexpr std::array<uint64_t, 2> kSeed = {0x0123456789abcdefULL, 0xfedcba9876543210ULL};

MonitorAddress ipv4(uint32_t address) {
  MonitorAddress out{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  address = htonl(address);
  std::memcpy(out.data() + 12, &address, 4);
  return out;
}

/// Against counting everything: no count too small, none larger than its error allows, and what has
/// more than its share of the table is there.
TEST(MonitorSpaceSaving, KeepsItsPromise) {
  std::mt19937 random(3);
  for (const uint16_t capacity : {uint16_t{1}, uint16_t{2}, uint16_t{7}, uint16_t{64}}) {
    SpaceSaving<uint32_t, MonitorHash> table(capacity, {kSeed});
    std::map<uint32_t, uint64_t> truth;
    for (int i = 0; i < 20'000; i++) {
      const uint32_t key = std::geometric_distribution<uint32_t>(0.05)(random);
      const uint64_t weight = 1ULL << random() % 4;
      table.add(key, weight);
      truth[key] += weight;
      ASSERT_LE(table.size(), capacity);
    }
    std::set<uint32_t> found;
    uint64_t sum = 0;
    for (const auto& entry : table.top(capacity)) {
      ASSERT_TRUE(found.insert(entry.key).second) << "a key twice";
      EXPECT_GE(entry.count, truth[entry.key]);
      EXPECT_LE(entry.count - entry.error, truth[entry.key]);
      sum += entry.count;
    }
    EXPECT_EQ(sum, table.total()) << capacity;
    for (const auto& [key, count] : truth) {
      if (count > table.total() / capacity) EXPECT_TRUE(found.contains(key)) << key;
    }
  }
}

TEST(MonitorSpaceSaving, IsExactWhileThereIsRoom) {
  SpaceSaving<uint32_t, MonitorHash> table(64, {kSeed});
  for (uint32_t key = 1; key <= 50; key++) table.add(key, key);
  const auto top = table.top(100);
  ASSERT_EQ(top.size(), 50U);
  for (uint32_t i = 0; i < 50; i++) {
    EXPECT_EQ(top[i].key, 50 - i);
    EXPECT_EQ(top[i].count, 50 - i);
    EXPECT_EQ(top[i].error, 0U);
  }
}

/// 20,000 networks; number k sends one part in k + 1 (Zipf).
class Zipf {
 public:
  Zipf() {
    for (uint32_t k = 0; k < kNetworks; k++) sums_.push_back(sum_ += 1.0 / (k + 1));
  }
  uint32_t operator()(std::mt19937& random) const {
    const double at = std::uniform_real_distribution<double>(0, sum_)(random);
    return static_cast<uint32_t>(std::ranges::lower_bound(sums_, at) - sums_.begin());
  }
  static constexpr uint32_t kNetworks = 20'000;

 private:
  std::vector<double> sums_;
  double sum_ = 0;
};

uint32_t network_number(const MonitorAddress& network) {
  uint32_t number = 0;
  std::memcpy(&number, network.data() + 12, 4);
  return ntohl(number) >> 8;
}

/// monitor.md B4: 250,000 packets a second come to a sampler that lets 10,000 of them through. The
/// heavy senders pause in the first fifth of each window, where a token bucket is used up. After 10
/// s the heaviest ten are found, with their shares.
TEST(MonitorTables, FindTheTopTenOfASkewedAttack) {
  constexpr uint64_t kPackets = 2'500'000, kPacketNs = 4000;
  std::mt19937 random(11);
  const Zipf zipf;
  AttackTables tables(kSeed);
  tfo_monitor_cpu cpu{};
  std::vector<uint64_t> sent(Zipf::kNetworks);
  tfo_sample sample{};
  std::memcpy(sample.destination, ipv4(0xc0000207).data(), 16);
  for (uint64_t i = 0; i < kPackets; i++) {
    const uint64_t now = 1'000'000'000 + i * kPacketNs;
    uint32_t network = zipf(random);
    if (now % TFO_SAMPLE_WINDOW_NS < TFO_SAMPLE_WINDOW_NS / 5 && network < 30) {
      network = 100 + random() % 10'000;
    }
    sent[network]++;
    sample.weight =
        tfo_sample_weight(&cpu, now, TFO_SAMPLE_BUDGET, static_cast<uint32_t>(random()));
    if (sample.weight == 0) continue;
    std::memcpy(sample.source, ipv4(network << 8 | (random() & 255)).data(), 16);
    tables.add(sample);
  }
  EXPECT_NEAR(static_cast<double>(tables.weight()) / kPackets, 1, 0.03);
  EXPECT_LT(tables.samples(), 110'000U);
  EXPECT_GT(tables.samples(), 25'000U);
  std::set<uint32_t> found;
  double worst = 0;
  for (const auto& entry : tables.reflectors().top(10)) {
    const uint32_t network = network_number(entry.key);
    found.insert(network);
    const auto truth = static_cast<double>(sent[network]);
    worst = std::max(worst, std::abs(static_cast<double>(entry.count) / truth - 1));
  }
  EXPECT_EQ(found, (std::set<uint32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_LT(worst, 0.12);
  RecordProperty("worst_percent", static_cast<int>(worst * 100));
  RecordProperty("samples", static_cast<int>(tables.samples()));
  EXPECT_LT(tables.memory(), 256U * 1024);
}

TEST(MonitorSampler, HalvesAtTheBudgetAndRecovers) {
  std::mt19937 random(5);
  tfo_monitor_cpu cpu{};
  uint64_t now = 1'000'000'000, weight = 0, sent = 0;
  const auto run = [&](uint64_t packets, uint64_t apart) {
    weight = sent = 0;
    for (uint64_t i = 0; i < packets; i++, now += apart) {
      const uint32_t one = tfo_sample_weight(&cpu, now, TFO_SAMPLE_BUDGET, random());
      weight += one;
      sent += one != 0 ? 1 : 0;
    }
  };
  run(5000, 1'000'000);  // 1,000/s: each is one
  EXPECT_EQ(sent, 5000U);
  EXPECT_EQ(weight, 5000U);
  run(2'000'000, 1000);  // 1,000,000/s for 2 s
  EXPECT_LT(sent, 30'000U);
  EXPECT_NEAR(static_cast<double>(weight) / 2'000'000, 1, 0.05);
  EXPECT_GE(cpu.shift, 6U);
  run(20'000, 1'000'000);  // 1,000/s for 20 s: soon each is one again
  EXPECT_EQ(cpu.shift, 0U);
  run(1'000'000, 1000);
  now += 60'000'000'000;
  run(100, 1'000'000);  // after a minute's rest at once
  EXPECT_EQ(sent, 100U);
}

TEST(MonitorSampler, SocketsAreAskedForAtMostSoOften) {
  tfo_monitor_cpu cpu{};
  uint32_t asked = 0;
  for (int i = 0; i < 50'000; i++) asked += tfo_may_ask(&cpu, 5'000'000'000) != 0 ? 1 : 0;
  EXPECT_EQ(asked, static_cast<uint32_t>(TFO_ASK_BUDGET));
  EXPECT_NE(tfo_may_ask(&cpu, 7'000'000'000), 0);
}

tfo_sample with_options(std::vector<uint8_t> options, __u8 tcp = 20) {
  tfo_sample sample{};
  sample.headers[0] = tcp == 20 ? 0x45 : 0x60;
  sample.tcp = tcp;
  options.resize((options.size() + 3) / 4 * 4);
  sample.headers[tcp + 12] = static_cast<__u8>((20 + options.size()) / 4 << 4);
  std::ranges::copy(options, sample.headers + tcp + 20);
  sample.header_length = static_cast<__u8>(tcp + 20 + options.size());
  sample.weight = 1;
  return sample;
}

std::vector<uint8_t> options_of(const tfo_sample& sample) {
  return {sample.headers + sample.tcp + 20, sample.headers + sample.header_length};
}

TEST(MonitorTables, CookiesAreHidden) {
  const std::vector<uint8_t> linux_syn_ack = {2, 4, 5, 180, 34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1};
  tfo_sample sample = with_options(linux_syn_ack);
  hide_cookies(sample);
  EXPECT_EQ(options_of(sample),
            (std::vector<uint8_t>{2, 4, 5, 180, 34, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1}));
  sample = with_options({1, 254, 12, 0xf9, 0x89, 1, 2, 3, 4, 5, 6, 7, 8, 3, 3, 7});
  hide_cookies(sample);
  EXPECT_EQ(options_of(sample),
            (std::vector<uint8_t>{1, 254, 12, 0xf9, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 7}));
  sample = with_options({34, 40, 1, 2, 3, 4, 5, 6});  // overruns the header
  hide_cookies(sample);
  EXPECT_EQ(options_of(sample), std::vector<uint8_t>(8));
  sample = with_options({0, 34, 10, 1, 2, 3, 4, 5, 6, 7, 8});  // behind the end of the options
  hide_cookies(sample);
  EXPECT_EQ(options_of(sample), std::vector<uint8_t>(12));
}

/// Extension headers of IPv6 stand before TCP; and what the sample has is not all of it.
TEST(MonitorTables, CookiesAreHiddenWhereverTcpBegins) {
  const std::vector<uint8_t> options = {34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 254, 6, 0xf9, 0x89, 9, 9};
  const std::vector<uint8_t> hidden = {34, 10, 0, 0, 0, 0, 0, 0, 0, 0, 254, 6, 0xf9, 0x89, 0, 0};
  for (const __u8 tcp : {__u8{40}, __u8{48}, __u8{80}}) {
    tfo_sample sample = with_options(options, tcp);
    hide_cookies(sample);
    EXPECT_EQ(options_of(sample), hidden) << int{tcp};
  }
  for (__u8 length = 50; length < 84; length++) {
    tfo_sample sample = with_options(options, 48);
    sample.header_length = length;
    hide_cookies(sample);
    for (unsigned at = 68 + 2; at < length; at++) {
      if (at < 78 || at >= 82) EXPECT_EQ(sample.headers[at], 0) << at << " of " << int{length};
    }
  }
  for (const __u8 wrong : {__u8{0}, __u8{70}, __u8{255}}) {  // no TCP header in there
    tfo_sample sample = with_options(options, 40);
    sample.tcp = wrong;
    hide_cookies(sample);
    EXPECT_EQ(sample.headers[0], 0x60);
    for (unsigned at = std::max<unsigned>(wrong, 20); at < sample.header_length; at++) {
      EXPECT_EQ(sample.headers[at], 0) << at << " " << int{wrong};
    }
  }
}

/// Strays of days are no carpet.
TEST(MonitorTables, VictimsOfLateAreForgotten) {
  AttackTables tables(kSeed);
  tfo_sample sample = with_options({1, 1, 1, 1}, 40);
  const auto hit = [&](uint32_t count, uint64_t window) {
    sample.time_ns = window << TFO_WINDOW_SHIFT;
    for (uint32_t i = 0; i < count; i++) {
      inet_pton(AF_INET6, "2001:db8::", sample.destination);
      std::memcpy(sample.destination + 8, &i, sizeof(i));
      tables.add(sample);
    }
  };
  hit(16, 100);
  EXPECT_EQ(tables.victims_hit(100), 16U);
  EXPECT_EQ(tables.victims_hit(101), 16U);
  EXPECT_EQ(tables.victims_hit(102), 0U);
  hit(1, 102);
  EXPECT_EQ(tables.victims_hit(102), 1U);
  hit(2000, 103);
  EXPECT_NEAR(static_cast<double>(tables.victims_hit(103)), 2000, 100);
}

TEST(MonitorTables, PacketsAreDated) {
  AttackTables tables(kSeed);
  tfo_sample sample = with_options({1, 1, 1, 1});
  sample.time_ns = 5'000'000'007;
  tables.add(sample);
  const auto file = tables.pcap(1'790'000'000'000'000'000);
  uint32_t stamp[2] = {};
  std::memcpy(stamp, file.data() + 24, sizeof(stamp));
  EXPECT_EQ(stamp[0], 1'790'000'005U);
  EXPECT_EQ(stamp[1], 7U);
}

TEST(MonitorTables, EvidenceNamesThem) {
  AttackTables tables(kSeed);
  tfo_sample sample = with_options({34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1});
  std::memcpy(sample.source, ipv4(0xc6336407).data(), 16);
  std::memcpy(sample.destination, ipv4(0xc000020a).data(), 16);
  sample.source_port = htons(443);
  sample.ttl = 57;
  sample.ack = 7;
  sample.weight = 8;
  for (int i = 0; i < 30; i++) tables.add(sample);
  inet_pton(AF_INET6, "2001:db8:1:2::3", sample.source);
  sample.weight = 16;
  tables.add(sample);
  const auto evidence = tables.evidence();
  EXPECT_EQ(evidence["reflectors"][0]["network"], "198.51.100.0/24");
  EXPECT_EQ(evidence["reflectors"][0]["packets"], 240);
  EXPECT_EQ(evidence["reflectors"][1]["network"], "2001:db8:1::/48");
  EXPECT_EQ(evidence["source_ports"][0]["port"], 443);
  EXPECT_EQ(evidence["victims"][0]["address"], "192.0.2.10");
  EXPECT_EQ(evidence["victim_networks"][0]["network"], "192.0.2.0/24");
  EXPECT_EQ(evidence["same_ack"], 1);
  EXPECT_EQ(evidence["same_ttl"], 1);
  EXPECT_EQ(evidence["weight_max"], 16);
  const auto file = tables.pcap(0);
  EXPECT_EQ(file.size(), 24 + 20 * (16 + 52U));
  for (size_t i = 24; i + 1 < file.size(); i++) EXPECT_FALSE(file[i] == 1 && file[i + 1] == 2);
}

}  // namespace
}  // namespace tfo::monitor_tables_test
