// SPDX-License-Identifier: BSD-2-Clause
// `tfoctl bench` on small tables: the shape of its answer. That every packet is counted under the
// reason of its row is checked by the command itself, which fails otherwise.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/support/tfoctl_run.h"
#include "tools/bench_measure.h"
#include "tools/bench_packet.h"

namespace {

using nlohmann::json;
using tfo::test::Ran;
using tfo::test::run_tfoctl;

TEST(TfoctlBench, OneDocumentWithEveryRowOfTheCostTable) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: loads BPF programs";
  const Ran ran =
      run_tfoctl({"-j", "bench", "--runs", "3", "--repeat", "1000", "--packets", "8192"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const json answer = json::parse(ran.out);
  const double empty = answer["empty_ns"];
  const double empty_tc = answer["empty_tc_ns"];
  EXPECT_GT(empty, 0);
  EXPECT_GT(empty_tc, 0);
  EXPECT_GT(answer["run_call_ns"], 0);
  std::set<std::string> rows;
  for (const json& row : answer["rows"]) {
    rows.insert(row["case"].get<std::string>() + " " + std::to_string(row["family"].get<int>()) +
                " " + row["tables"].get<std::string>());
    const double base = row["hook"] == "tc egress" ? empty_tc : empty;
    const double ratio = (base + row["net_ns"].get<double>()) / base;
    EXPECT_NEAR(row["ratio_to_empty"], ratio, 0.02);
  }
  for (const char* name :
       {"not_syn", "syn_plain", "cookie_valid", "guard_flood", "renew", "cookie_invalid_4",
        "not_syn_monitor", "synack_answer", "synack_vip", "synack_tracked", "synack_tracked_socket",
        "synack_prefix", "synack_sample", "not_syn_out", "syn_out"}) {
    for (const char* rest : {" 4 hot", " 4 cold", " 6 hot", " 6 cold"}) {
      EXPECT_EQ(rows.count(std::string(name) + rest), 1U) << name << rest;
    }
  }
}

TEST(TfoctlBench, OnlyWhatWasAskedFor) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: loads BPF programs";
  const Ran ran = run_tfoctl({"bench", "--runs", "1", "--repeat", "1000", "--packets", "1024",
                              "--family", "6", "--case", "cookie_valid"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.out.find("cookie_valid  IPv6    hot"), std::string::npos) << ran.out;
  EXPECT_EQ(ran.out.find("IPv4"), std::string::npos) << ran.out;
  EXPECT_EQ(ran.out.find("not_syn"), std::string::npos) << ran.out;
}

TEST(TfoctlBench, ADriftOfTheMachineCancels) {
  double speed = 10;  // ns of an empty run, which grows from run to run
  const auto empty = [&]() -> tfo::Result<double> { return speed += 1; };
  const auto program = [&]() -> tfo::Result<double> { return (speed += 1) + 5; };
  const auto cost = tfo::compare(empty, program, 11);
  ASSERT_TRUE(cost);
  EXPECT_DOUBLE_EQ(cost->net, 5);
  EXPECT_DOUBLE_EQ(cost->noise, 0);
}

TEST(TfoctlBench, FailuresEndTheComparison) {
  const auto good = []() -> tfo::Result<double> { return 1.0; };
  const auto bad = []() -> tfo::Result<double> { return tfo::fail("broken"); };
  EXPECT_FALSE(tfo::compare(good, bad, 3));
  EXPECT_FALSE(tfo::compare(bad, good, 3));
}

TEST(TfoctlBench, MedianOfOddAndEven) {
  EXPECT_DOUBLE_EQ(tfo::median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(tfo::median({4, 1, 3, 2}), 2.5);
  EXPECT_DOUBLE_EQ(tfo::median({}), 0);
}

/// One's complement sum of big-endian words.
uint32_t sum(const std::vector<uint8_t>& bytes, size_t from, size_t to, uint32_t start) {
  for (size_t i = from; i + 1 < to; i += 2) start += bytes[i] * 256U + bytes[i + 1];
  while (start >> 16 != 0) start = (start & 0xffff) + (start >> 16);
  return start;
}

TEST(TfoctlBench, FramesAreAsLinuxSendsThem) {
  for (const int family : {4, 6}) {
    tfo::BenchSegment segment;
    segment.family = family;
    segment.source = {0x20, 1, 0, 2, 1, 1, 1, 1, 1, 1, 1, 1, 10, 1, 2, 3};
    segment.destination = {0x20, 1, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 198, 18, 0, 9};
    segment.options = tfo::BenchOptions::kCookie;
    segment.cookie = 0x0102030405060708;
    segment.data = 16;
    const std::vector<uint8_t> frame = tfo::build_frame(segment);
    const size_t ip = family == 4 ? 20 : 40;
    const size_t tcp = 14 + ip;
    ASSERT_EQ(frame.size(), tcp + 20 + 32 + 16);
    if (family == 4) {
      EXPECT_EQ(sum(frame, 14, tcp, 0), 0xffffU);
    }
    const auto length = static_cast<uint32_t>(frame.size() - tcp);
    EXPECT_EQ(sum(frame, tcp - (family == 4 ? 8 : 32), frame.size(), 6 + length), 0xffffU);
    EXPECT_EQ(frame[tcp + 12], 13U << 4);
    EXPECT_EQ(frame[tcp + 13], 2U);
    EXPECT_EQ(frame[tcp + 20 + 20], 34U) << "the Fast Open option follows the window scale";
    EXPECT_EQ(frame[tcp + 20 + 21], 10U);
  }
}

}  // namespace
