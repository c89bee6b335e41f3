// SPDX-License-Identifier: BSD-2-Clause
// What the guard knows outlives the daemon, and the maps that it stands in: what an operator said
// of client networks, what they hold open, and how their handshakes came out.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <net/if.h>

#include <functional>

#include "loader/dataplane/dataplane.h"
#include "loader/dataplane/fd.h"
#include "loader/dataplane/guard_tables.h"
#include "loader/dataplane/map_set.h"
#include "loader/keys/ring.h"
#include "loader/log.h"
#include "tests/support/cases.h"
#include "tests/support/guard_world.h"
#include "tests/support/outcome.h"
#include "tests/support/sandbox.h"

namespace tfo::test {
namespace {

constexpr unsigned kLimit = 8;

VipConfig vip(unsigned number) {
  VipConfig vip{.name = "vip" + std::to_string(number),
                .addresses = {parse_network("198.18." + std::to_string(number / 256) + "." +
                                            std::to_string(number % 256))
                                  ->address},
                .ports = {443},
                .pool = "web",
                .mode = TFO_ENFORCE};
  vip.guard.limit = kLimit;
  return vip;
}

/// "web", where GuardWorld's clients go, stands behind `others`.
std::vector<VipConfig> vips(unsigned others) {
  std::vector<VipConfig> all;
  all.reserve(others + 1);
  for (unsigned i = 0; i < others; ++i) all.push_back(vip(i));
  all.push_back(vip(0));
  all.back().name = "web";
  all.back().addresses = {parse_network("192.0.2.10")->address};
  return all;
}

KeyRing ring() {
  KeyRing ring;
  ring.generations.push_back({.id = 1,
                              .key = Key::parse(kCurrentKey).value(),
                              .place = TFO_PLACE_CURRENT,
                              .created_at = 1000,
                              .not_after = 0});
  return ring;
}

Packet client(unsigned number) { return GuardWorld::syn("10.0.1." + std::to_string(number)); }

class DataplaneGuard : public testing::Test {
 protected:
  void SetUp() override {
    if (!netns_.ok() || !bpffs_.ok()) GTEST_SKIP() << "needs root: network namespace and bpffs";
    ASSERT_TRUE(netns_.add_veth("one"));
  }

  Result<Dataplane> open(uint32_t handshakes = 1024) {
    auto dataplane = Dataplane::open({.pin_directory = bpffs_.pins(),
                                      .vips = 1,
                                      .vip_rows = 1,
                                      .handshakes = handshakes,
                                      .boot_offset_ns = [] { return int64_t{0}; },
                                      .checkpoint = {}});
    if (!dataplane) return dataplane;
    auto done = dataplane->set_ring("web", ring());
    if (done) done = dataplane->set_vips(vips(1));
    if (done) done = dataplane->set_interfaces({{.name = "one", .guard = true}});
    if (!done) return tl::unexpected(done.error());
    dataplane->keep();
    return dataplane;
  }

  static void expect_listed(const Dataplane& dataplane, const char* where) {
    const auto listed = dataplane.guard().listed();
    ASSERT_OK(listed);
    ASSERT_EQ(listed->size(), 1U) << where;
    EXPECT_EQ(network_text(listed->front().network), "192.0.2.0/24") << where;
    EXPECT_EQ(listed->front().verdict, TFO_LIST_DENY) << where;
  }

  /// Through the program that is attached.
  static void send(const Packet& packet) {
    uint32_t id = 0;
    ASSERT_EQ(bpf_xdp_query_id(static_cast<int>(if_nametoindex("one")), 0, &id), 0);
    const Fd program(bpf_prog_get_fd_by_id(id));
    const Bytes frame = packet.frame();
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()), .repeat = 1);
    ASSERT_EQ(bpf_prog_test_run_opts(program.get(), &opts), 0);
  }
  static void answer(unsigned number) {
    const Packet syn = client(number);
    send(GuardWorld::segment(syn, kAck, 20));
  }

  static uint32_t load(const Dataplane& dataplane) {
    return dataplane.guard().vip(*dataplane.slot_of("web"))->load;
  }
  static tfo_guard_counters counted(const Dataplane& dataplane) {
    for (const VipCounters& one : dataplane.counters()->vips) {
      if (one.name == "web") return one.guard;
    }
    return {};
  }

  /// Changes what the pinned set of maps says of itself.
  void rewrite_meta(const std::function<void(tfo_meta&)>& change) const {
    auto map = Map::open_pin("meta", bpffs_.pins() / "maps" / "meta");
    ASSERT_OK(map);
    const ArrayMap<tfo_meta> meta(std::move(*map));
    auto value = meta.get(0);
    ASSERT_OK(value);
    change(*value);
    ASSERT_OK(meta.set(0, *value));
  }

  /// Three answered, one of them reset, and five that are not.
  void begin() {
    auto dataplane = open();
    ASSERT_OK(dataplane);
    for (unsigned i = 0; i < 8; ++i) send(client(i));
    answer(0);
    answer(1);
    send(GuardWorld::segment(client(2), kRst, 20));
    EXPECT_EQ(load(*dataplane), 6U);
  }

  /// After begin(), wherever it went: who is pending is known, and the limit is where it was.
  static void expect_all_there(const Dataplane& dataplane, uint64_t answered) {
    EXPECT_EQ(counted(dataplane).outcome[TFO_OUTCOME_ACCEPTED], answered);
    EXPECT_EQ(counted(dataplane).outcome[TFO_OUTCOME_RESET], 1U);
    uint64_t times = 0;
    for (const uint64_t bucket : counted(dataplane).rtt) times += bucket;
    EXPECT_EQ(times, answered);
    EXPECT_EQ(load(dataplane), 8 - answered);
    answer(static_cast<unsigned>(answered) + 1);
    EXPECT_EQ(counted(dataplane).outcome[TFO_OUTCOME_ACCEPTED], answered + 1);
    EXPECT_EQ(load(dataplane), 7 - answered);
  }
  /// `more` go through before the network is over its limit.
  static void expect_room_for(const Dataplane& dataplane, unsigned more) {
    const uint64_t before = counted(dataplane).answer[TFO_GUARD_OVER];
    for (unsigned i = 0; i < more; ++i) send(client(100 + i));
    EXPECT_EQ(counted(dataplane).answer[TFO_GUARD_OVER], before);
    send(client(200));
    EXPECT_EQ(counted(dataplane).answer[TFO_GUARD_OVER], before + 1);
  }

  PrivateNetns netns_;
  PrivateBpffs bpffs_;
};

TEST_F(DataplaneGuard, TheOperatorsListSurvivesRestartsAndOtherMaps) {
  {
    auto dataplane = open();
    ASSERT_OK(dataplane);
    const auto until = dataplane->guard().now_ns() + 3'600'000'000'000;
    ASSERT_OK(
        dataplane->guard().list({parse_network("192.0.2.0/24").value(), TFO_LIST_DENY, until}));
  }
  {
    auto dataplane = open();
    ASSERT_OK(dataplane);
    EXPECT_TRUE(dataplane->adopted());
    expect_listed(*dataplane, "a restart");
    const uint64_t before = dataplane->guard().serial();
    ASSERT_OK(dataplane->set_vips(vips(100)));
    EXPECT_NE(dataplane->guard().serial(), before) << "these maps are larger";
    expect_listed(*dataplane, "larger maps");
  }
  auto dataplane = open(2048);
  ASSERT_OK(dataplane);
  expect_listed(*dataplane, "tables of another size");
}

TEST_F(DataplaneGuard, WhatClientsHoldOpenGoesToLargerMaps) {
  ASSERT_NO_FATAL_FAILURE(begin());
  auto dataplane = open();
  ASSERT_OK(dataplane);
  const uint64_t before = dataplane->guard().serial();
  ASSERT_OK(dataplane->set_vips(vips(100)));
  ASSERT_NE(dataplane->guard().serial(), before);
  expect_all_there(*dataplane, 2);
  expect_room_for(*dataplane, 3);
}

TEST_F(DataplaneGuard, AndToTablesOfAnotherSize) {
  ASSERT_NO_FATAL_FAILURE(begin());
  uint64_t answered = 2;
  for (const uint32_t handshakes : {4096U, 1024U}) {
    auto dataplane = open(handshakes);
    ASSERT_OK(dataplane);
    SCOPED_TRACE(handshakes);
    expect_all_there(*dataplane, answered++);
  }
  auto dataplane = open(1024);
  ASSERT_OK(dataplane);
  EXPECT_TRUE(dataplane->adopted());
  expect_room_for(*dataplane, 4);
}

TEST_F(DataplaneGuard, AndToAnotherVersionWithTheSameLayout) {
  ASSERT_NO_FATAL_FAILURE(begin());
  rewrite_meta([](tfo_meta& meta) { meta.abi = TFO_ABI_VERSION - 1; });
  auto dataplane = open();
  ASSERT_OK(dataplane);
  expect_all_there(*dataplane, 2);
  expect_room_for(*dataplane, 3);
}

TEST_F(DataplaneGuard, AnotherLayoutKeepsWhatWasCountedAndSaysThatItStartsAnew) {
  ASSERT_NO_FATAL_FAILURE(begin());
  rewrite_meta([](tfo_meta& meta) { meta.guard_layout = TFO_GUARD_LAYOUT + 1; });
  start_log("warning");
  testing::internal::CaptureStderr();
  auto dataplane = open();
  const std::string said = testing::internal::GetCapturedStderr();
  ASSERT_OK(dataplane);
  EXPECT_NE(said.find("layout 2, this version has 1"), std::string::npos) << said;
  EXPECT_NE(said.find("begin at zero"), std::string::npos) << said;
  EXPECT_EQ(load(*dataplane), 0U);
  EXPECT_EQ(counted(*dataplane).outcome[TFO_OUTCOME_ACCEPTED], 2U);
  EXPECT_EQ(counted(*dataplane).outcome[TFO_OUTCOME_RESET], 1U);
  expect_room_for(*dataplane, kLimit);
}

}  // namespace
}  // namespace tfo::test
