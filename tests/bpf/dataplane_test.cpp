// SPDX-License-Identifier: BSD-2-Clause
#include "loader/dataplane/dataplane.h"

#include <cap-ng.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "loader/dataplane/map_set.h"
#include "loader/keys/sink.h"
#include "tests/support/frame_sender.h"
#include "tests/support/outcome.h"
#include "tests/support/packet.h"
#include "tests/support/sandbox.h"

namespace tfo::test {
namespace {

VipConfig vip(const std::string& name, uint8_t host, const std::string& pool = "web") {
  ConfigAddress address{};
  address[10] = address[11] = 0xff;
  address[12] = 198;
  address[13] = 51;
  address[14] = 100;
  address[15] = host;
  return {.name = name, .addresses = {address}, .ports = {443}, .pool = pool};
}

Bytes syn_to(uint8_t host) {
  return Packet::syn("192.0.2.1", "198.51.100." + std::to_string(host)).frame();
}

KeyRing ring_of(const Key& key, int64_t not_after = 0) {
  KeyRing ring;
  ring.generations.push_back({.id = 1,
                              .key = key,
                              .place = TFO_PLACE_CURRENT,
                              .created_at = 1000,
                              .not_after = not_after});
  return ring;
}

class DataplaneTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!netns_.ok() || !bpffs_.ok()) GTEST_SKIP() << "needs root: network namespace and bpffs";
  }

  Result<Dataplane> open(size_t vips = 4) {
    return Dataplane::open({.pin_directory = bpffs_.pins(),
                            .vips = vips,
                            .vip_rows = vips,
                            .boot_offset_ns = [this] { return offset_; },
                            .checkpoint = {}});
  }

  /// The counters once `count` packets are in them.
  static Snapshot after(const Dataplane& dataplane, uint64_t count) {
    Snapshot snapshot;
    wait_until([&] {
      snapshot = *dataplane.counters();
      uint64_t total = packet_total(snapshot.node);
      for (const auto& v : snapshot.vips) total += packet_total(v.counters);
      return total >= count;
    });
    return snapshot;
  }

  PrivateNetns netns_;
  PrivateBpffs bpffs_;
  int64_t offset_ = 0;
};

TEST_F(DataplaneTest, CountsOnSeveralInterfacesAndIsGoneAfterAFailedStart) {
  ASSERT_TRUE(netns_.add_veth("one"));
  ASSERT_TRUE(netns_.add_veth("two"));
  {
    auto dataplane = open();
    ASSERT_OK(dataplane);
    EXPECT_FALSE(dataplane->adopted());
    ASSERT_OK(dataplane->set_ring("web", ring_of(Key::random())));
    ASSERT_OK(dataplane->set_vips({vip("a", 1), vip("b", 2)}));
    ASSERT_OK(dataplane->set_interfaces({{.name = "one"}, {.name = "two"}}));
    ASSERT_EQ(dataplane->interfaces().size(), 2U);
    EXPECT_EQ(dataplane->interfaces()[0].state, InterfaceState::kNative);
    EXPECT_FALSE(dataplane->interfaces()[0].l3_device);
    FrameSender("one_peer").send({syn_to(1)}, 10);
    FrameSender("two_peer").send({syn_to(1), syn_to(2), syn_to(3)}, 30);
    const auto counted = after(*dataplane, 40);
    EXPECT_EQ(reason_total(counted.vips[0].counters, TFO_PLAIN), 20U);
    EXPECT_EQ(reason_total(counted.vips[1].counters, TFO_PLAIN), 10U);
    EXPECT_EQ(reason_total(counted.node, TFO_NOT_VIP), 10U);
    struct stat info{};
    ASSERT_EQ(stat(bpffs_.pins().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0700U);
  }
  EXPECT_FALSE(std::filesystem::exists(bpffs_.pins()));
  EXPECT_TRUE(shell("! ip link show dev one | grep -q xdp"));
}

TEST_F(DataplaneTest, IsAdoptedWithItsCountersAndRing) {
  ASSERT_TRUE(netns_.add_veth("eth0.100"));  // bpffs allows no dots in names
  FrameSender sender("eth0.100_peer");
  {
    auto dataplane = open();
    ASSERT_OK(dataplane);
    ASSERT_OK(dataplane->set_ring("web", ring_of(Key::random())));
    ASSERT_OK(dataplane->set_vips({vip("a", 1), vip("b", 2)}));
    ASSERT_OK(dataplane->set_interfaces({{.name = "eth0.100"}}));
    dataplane->keep();
  }
  sender.send({syn_to(1)}, 10);  // nobody is there, and it is counted
  auto dataplane = open();
  ASSERT_OK(dataplane);
  EXPECT_TRUE(dataplane->adopted());
  sender.send({syn_to(1)}, 10);
  ASSERT_OK(dataplane->set_ring("web", ring_of(Key::random())));
  ASSERT_OK(dataplane->set_vips({vip("b", 2), vip("a", 1)}));
  ASSERT_OK(dataplane->set_interfaces({{.name = "eth0.100"}}));
  sender.send({syn_to(1)}, 10);
  const auto counted = after(*dataplane, 30);
  EXPECT_EQ(counted.vips[1].name, "a");
  EXPECT_EQ(packet_total(counted.vips[1].counters), 30U);
  EXPECT_EQ(packet_total(counted.vips[0].counters), 0U);

  const auto second = open();
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("another tfod"), std::string::npos);
  EXPECT_FALSE(Dataplane::detach(bpffs_.pins()));
}

TEST_F(DataplaneTest, DetachesWithoutADaemon) {
  ASSERT_TRUE(netns_.add_veth("one"));
  {
    auto dataplane = open();
    ASSERT_OK(dataplane);
    ASSERT_OK(dataplane->set_interfaces({{.name = "one"}}));
    dataplane->keep();
  }
  EXPECT_TRUE(shell("ip link show dev one | grep -q xdp"));
  const auto names = Dataplane::detach(bpffs_.pins());
  ASSERT_OK(names);
  EXPECT_EQ(*names, std::vector<std::string>{"one"});
  EXPECT_TRUE(shell("! ip link show dev one | grep -q xdp"));
  EXPECT_FALSE(std::filesystem::exists(bpffs_.pins()));
  EXPECT_TRUE(Dataplane::detach(bpffs_.pins())->empty());
}

TEST_F(DataplaneTest, AllInterfacesOrNone) {
  ASSERT_TRUE(netns_.add_veth("one"));
  ASSERT_TRUE(netns_.add_veth("two"));
  auto dataplane = open();
  ASSERT_OK(dataplane);
  ASSERT_OK(dataplane->set_interfaces({{.name = "one"}}));
  expect_error(dataplane->set_interfaces({{.name = "two"}, {.name = "nope"}}),
               {"interface nope does not exist"});
  EXPECT_TRUE(shell("ip link show dev one | grep -q xdp"));
  EXPECT_TRUE(shell("! ip link show dev two | grep -q xdp"));
  ASSERT_OK(dataplane->set_interfaces({{.name = "two"}}));
  EXPECT_TRUE(shell("! ip link show dev one | grep -q xdp"));
  EXPECT_TRUE(shell("ip link show dev two | grep -q xdp"));
  ASSERT_OK(dataplane->detach_all());
  EXPECT_TRUE(shell("! ip link show dev two | grep -q xdp"));
}

TEST_F(DataplaneTest, SaysWhoHoldsTheHook) {
  ASSERT_TRUE(netns_.add_veth("one"));
  ASSERT_TRUE(netns_.add_veth("two"));
  auto other = Dataplane::open({.pin_directory = bpffs_.pins("other"),
                                .vips = 1,
                                .vip_rows = 1,
                                .boot_offset_ns = {},
                                .checkpoint = {}});
  ASSERT_OK(other);
  ASSERT_OK(other->set_interfaces({{.name = "one"}}));
  auto dataplane = open();
  ASSERT_OK(dataplane);
  expect_error(dataplane->set_interfaces({{.name = "two"}, {.name = "one"}}),
               {"interface one", "tfo_xdp", "tfoctl detach"});
  EXPECT_TRUE(shell("! ip link show dev two | grep -q xdp"));
}

TEST_F(DataplaneTest, SaysGenericAloudAndRefusesItWhereForbidden) {
  auto dataplane = open();
  ASSERT_OK(dataplane);
  ASSERT_TRUE(shell("ip link set lo up"));
  expect_error(dataplane->set_interfaces({{.name = "lo", .mode = AttachMode::kNative}}),
               {"interface lo natively", "no native XDP", "\"mode\": \"auto\""});
  ASSERT_OK(dataplane->set_interfaces({{.name = "lo", .mode = AttachMode::kAuto}}));
  EXPECT_EQ(dataplane->interfaces()[0].state, InterfaceState::kGeneric);
  EXPECT_NE(dataplane->interfaces()[0].detail.find("slower"), std::string::npos);
}

TEST_F(DataplaneTest, ChangesTheMode) {
  ASSERT_TRUE(netns_.add_veth("one"));
  auto dataplane = open();
  ASSERT_OK(dataplane);
  ASSERT_OK(dataplane->set_interfaces({{.name = "one", .mode = AttachMode::kGeneric}}));
  EXPECT_EQ(dataplane->interfaces()[0].state, InterfaceState::kGeneric);
  ASSERT_OK(dataplane->set_interfaces({{.name = "one", .mode = AttachMode::kNative}}));
  EXPECT_EQ(dataplane->interfaces()[0].state, InterfaceState::kNative);
}

TEST_F(DataplaneTest, AttachesJumboFrames) {
  ASSERT_TRUE(netns_.add_veth("one"));
  ASSERT_TRUE(shell("ip link set one mtu 9000 && ip link set one_peer mtu 9000"));
  auto dataplane = open();
  ASSERT_OK(dataplane);
  ASSERT_OK(dataplane->set_interfaces({{.name = "one", .mode = AttachMode::kNative}}));
}

TEST_F(DataplaneTest, AttachesAgainWhenAnInterfaceReturns) {
  ASSERT_TRUE(netns_.add_veth("one"));
  ASSERT_TRUE(netns_.add_veth("two"));
  auto dataplane = open();
  ASSERT_OK(dataplane);
  ASSERT_OK(dataplane->set_vips({vip("a", 1)}));
  ASSERT_OK(dataplane->set_interfaces({{.name = "one"}, {.name = "two"}}));
  EXPECT_FALSE(*dataplane->reconcile());
  const unsigned before = dataplane->interfaces()[0].ifindex;
  ASSERT_TRUE(shell("ip link del one"));
  EXPECT_TRUE(*dataplane->reconcile());
  EXPECT_EQ(dataplane->interfaces()[0].state, InterfaceState::kGone);
  EXPECT_EQ(dataplane->interfaces()[1].state, InterfaceState::kNative);
  // A reload while it is away changes nothing for it.
  ASSERT_OK(dataplane->set_interfaces({{.name = "one"}, {.name = "two"}}));
  EXPECT_EQ(dataplane->interfaces()[0].state, InterfaceState::kGone);
  ASSERT_TRUE(netns_.add_veth("one"));
  EXPECT_TRUE(*dataplane->reconcile());
  EXPECT_EQ(dataplane->interfaces()[0].state, InterfaceState::kNative);
  EXPECT_NE(dataplane->interfaces()[0].ifindex, before);
  FrameSender("one_peer").send({syn_to(1)}, 3);
  EXPECT_EQ(packet_total(after(*dataplane, 3).vips[0].counters), 3U);
}

/// What a running tfod does once it has given up its other capabilities.
Result<> live_with_three_capabilities(Dataplane& dataplane, const PrivateNetns& netns) {
  capng_clear(CAPNG_SELECT_CAPS);
  capng_updatev(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED), CAP_BPF,
                CAP_NET_ADMIN, CAP_PERFMON, -1);
  if (capng_apply(CAPNG_SELECT_CAPS) != 0) return fail("cannot drop capabilities");
  std::vector<VipConfig> vips;
  vips.reserve(100);
  for (int i = 0; i < 100; ++i) {
    vips.push_back(vip("v" + std::to_string(i), static_cast<uint8_t>(i)));
  }
  auto done = dataplane.set_ring("web", ring_of(Key::random()));
  if (done) done = dataplane.set_vips(vips);
  if (done) done = dataplane.set_interfaces({{.name = "one"}, {.name = "two"}});
  if (!done) return done;
  if (!shell("ip link del one") || !*dataplane.reconcile()) return fail("not gone");
  if (!netns.add_veth("one") || !*dataplane.reconcile()) return fail("not back");
  if (dataplane.interfaces()[0].state != InterfaceState::kNative) {
    return fail(dataplane.interfaces()[0].detail);
  }
  if (auto counted = dataplane.counters(); !counted) return tl::unexpected(counted.error());
  return dataplane.detach_all();
}

TEST_F(DataplaneTest, LivesWithThreeCapabilities) {
  ASSERT_TRUE(netns_.add_veth("one"));
  ASSERT_TRUE(netns_.add_veth("two"));
  const pid_t child = fork();
  if (child == 0) {
    auto dataplane = open();
    auto done = dataplane ? dataplane->set_interfaces({{.name = "one"}})
                          : Result<>(tl::unexpected(dataplane.error()));
    if (done) done = live_with_three_capabilities(*dataplane, netns_);
    if (!done) std::fprintf(stderr, "%s\n", done.error().message.c_str());
    _exit(done ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(DataplaneTest, AnInterfaceThatReturnedWhileNobodyLookedIsAttached) {
  ASSERT_TRUE(netns_.add_veth("one"));
  {
    auto dataplane = open();
    ASSERT_OK(dataplane);
    ASSERT_OK(dataplane->set_interfaces({{.name = "one"}}));
    dataplane->keep();
  }
  ASSERT_TRUE(shell("ip link del one"));
  ASSERT_TRUE(netns_.add_veth("one"));
  auto dataplane = open();
  ASSERT_OK(dataplane);
  ASSERT_OK(dataplane->set_vips({vip("a", 1)}));
  ASSERT_OK(dataplane->set_interfaces({{.name = "one"}}));
  FrameSender("one_peer").send({syn_to(1)}, 3);
  EXPECT_EQ(packet_total(after(*dataplane, 3).vips[0].counters), 3U);
}

TEST_F(DataplaneTest, SlotsStayWithTheNameAndAreZeroedForTheNextOwner) {
  ASSERT_TRUE(netns_.add_veth("one"));
  FrameSender sender("one_peer");
  auto dataplane = open(60);
  ASSERT_OK(dataplane);
  std::vector<VipConfig> vips;
  vips.reserve(60);
  for (uint8_t i = 0; i < 60; ++i) vips.push_back(vip("v" + std::to_string(i), i));
  ASSERT_OK(dataplane->set_vips(vips));
  ASSERT_OK(dataplane->set_interfaces({{.name = "one"}}));
  sender.send({syn_to(7)}, 5);
  ASSERT_EQ(packet_total(after(*dataplane, 5).vips[7].counters), 5U);

  ASSERT_OK(dataplane->set_vips({vips[8]}));
  ASSERT_OK(dataplane->set_vips(vips));  // v7 was away, its counts were kept
  EXPECT_EQ(packet_total(dataplane->counters()->vips[7].counters), 5U);

  // 100 further names one after the other take the places of names that are gone.
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK(dataplane->set_vips({vips[8], vip("new" + std::to_string(i), 7)}));
    ASSERT_EQ(packet_total(dataplane->counters()->vips[1].counters), 0U) << i;
    sender.send({syn_to(7)}, 2);
    ASSERT_EQ(packet_total(after(*dataplane, 2).vips[1].counters), 2U) << i;
  }
}

TEST_F(DataplaneTest, GrowsUnderWayAndKeepsEverything) {
  ASSERT_TRUE(netns_.add_veth("one"));
  FrameSender sender("one_peer");
  auto dataplane = open(1);
  ASSERT_OK(dataplane);
  ASSERT_OK(dataplane->set_vips({vip("a", 1)}));
  ASSERT_OK(dataplane->set_interfaces({{.name = "one"}}));
  sender.send({syn_to(1)}, 5);
  after(*dataplane, 5);
  std::vector<VipConfig> vips{vip("a", 1)};
  for (uint8_t i = 2; i < 202; ++i) vips.push_back(vip("v" + std::to_string(i), i));
  ASSERT_OK(dataplane->set_vips(vips));
  sender.send({syn_to(1), syn_to(100)}, 10);
  const auto counted = after(*dataplane, 15);
  EXPECT_EQ(packet_total(counted.vips[0].counters), 10U);
  EXPECT_EQ(packet_total(counted.vips[99].counters), 5U);
  EXPECT_FALSE(std::filesystem::exists(bpffs_.pins() / "maps_new"));
  EXPECT_FALSE(std::filesystem::exists(bpffs_.pins() / "maps_old"));
}

TEST_F(DataplaneTest, RingsFollowThePoolsNameAndTheClock) {
  offset_ = 5'000'000'000;
  const Key key = Key::random();
  auto dataplane = open();
  ASSERT_OK(dataplane);
  auto sink = dataplane->key_sink("web");
  ASSERT_OK(sink->verify(ring_of(key)));  // no ring yet: nothing to differ from
  ASSERT_OK(dataplane->set_ring("api", ring_of(Key::random())));
  ASSERT_OK(sink->apply(ring_of(key, 100)));
  ASSERT_OK(sink->verify(ring_of(key)));
  EXPECT_FALSE(sink->verify(ring_of(Key::random())));
  auto maps = MapSet::open_pins(bpffs_.pins() / "maps");
  ASSERT_OK(maps);
  auto live = [&](uint32_t pool) {
    return *maps->rings.get(pool * 2 + maps->control.pool_side(pool));
  };
  EXPECT_EQ(live(1).generation[0].k0, key.k0());
  EXPECT_EQ(live(1).generation[0].not_after_ns, 95'000'000'000U);
  offset_ = 200'000'000'000;  // the wall clock stepped: long past, which is not "never"
  ASSERT_OK(sink->apply(ring_of(key, 100)));
  EXPECT_EQ(live(1).generation[0].not_after_ns, 0U);
  ASSERT_OK(sink->apply(ring_of(key)));
  EXPECT_EQ(live(1).generation[0].not_after_ns, UINT64_MAX);
  // The last VIP of a pool takes its keys along.
  ASSERT_OK(dataplane->set_vips({vip("a", 1, "web"), vip("b", 2, "api")}));
  ASSERT_OK(dataplane->set_vips({vip("b", 2, "api")}));
  for (uint32_t side = 0; side < 2; ++side) EXPECT_EQ(maps->rings.get(2 + side)->count, 0U);
  ASSERT_OK(sink->verify(ring_of(key)));  // and is not said to differ for that
  EXPECT_EQ(live(0).count, 1U);
}

TEST_F(DataplaneTest, SaysThatBpffsIsMissing) {
  const auto dataplane = Dataplane::open({.pin_directory = bpffs_.directory() / "x/tfoguard/test",
                                          .vips = 1,
                                          .vip_rows = 1,
                                          .boot_offset_ns = {},
                                          .checkpoint = {}});
  ASSERT_FALSE(dataplane);
  EXPECT_NE(
      dataplane.error().message.find("mount -t bpf bpf " + bpffs_.directory().string() + "/x"),
      std::string::npos)
      << dataplane.error().message;
  EXPECT_NE(dataplane.error().message.find("nsenter --net=/run/netns/NAME"), std::string::npos);
}

}  // namespace
}  // namespace tfo::test
