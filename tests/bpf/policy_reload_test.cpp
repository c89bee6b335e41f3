// SPDX-License-Identifier: BSD-2-Clause
// A configuration that comes into force under traffic: no SYN is lost, and none meets the mode of
// one configuration with the policy or the limits of the other.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <net/if.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "loader/dataplane/dataplane.h"
#include "loader/dataplane/fd.h"
#include "loader/dataplane/guard_tables.h"
#include "loader/dataplane/vip_policy.h"
#include "loader/keys/ring.h"
#include "tests/support/cases.h"
#include "tests/support/guard_world.h"
#include "tests/support/outcome.h"
#include "tests/support/sandbox.h"

namespace tfo::test {
namespace {

constexpr int kReloads = 60;

/// A VIP at the address that GuardWorld::syn() goes to.
VipConfig vip_for(const Packet& syn) {
  VipConfig vip{.name = "web", .addresses = {{}}, .ports = {443}, .pool = "web"};
  vip.addresses[0][10] = vip.addresses[0][11] = 0xff;
  std::copy_n(syn.ip.destination.bytes.begin(), 4, vip.addresses[0].begin() + 12);
  return vip;
}

/// Enforces and never drops: it demotes invalid cookies, and its limits are out of reach.
VipConfig lenient(VipConfig vip) {
  vip.mode = TFO_ENFORCE;
  vip.policy.on_invalid = TFO_DEMOTE;
  vip.guard.limit = vip.guard.vip_limit = 1'000'000'000;
  return vip;
}

/// Would drop nearly everything, and only observes.
VipConfig harsh(VipConfig vip) {
  vip.mode = TFO_OBSERVE;
  vip.policy.on_invalid = TFO_DROP;
  vip.policy.drop_above = 1;
  vip.policy.unproven_rate = 1;
  vip.guard.limit = vip.guard.vip_limit = 1;
  return vip;
}

class PolicyReload : public testing::Test {
 protected:
  void SetUp() override {
    if (!netns_.ok() || !bpffs_.ok()) GTEST_SKIP() << "needs root: network namespace and bpffs";
    ASSERT_TRUE(netns_.add_veth("one"));
  }

  Result<Dataplane> open(const VipConfig& vip) {
    auto dataplane = Dataplane::open({.pin_directory = bpffs_.pins(),
                                      .vips = 1,
                                      .vip_rows = 1,
                                      .handshakes = 1024,
                                      .boot_offset_ns = [] { return int64_t{0}; },
                                      .checkpoint = {}});
    if (!dataplane) return dataplane;
    KeyRing ring;
    ring.generations.push_back({.id = 1,
                                .key = Key::parse(kCurrentKey).value(),
                                .place = TFO_PLACE_CURRENT,
                                .created_at = 1000,
                                .not_after = 0});
    auto done = dataplane->set_ring("web", ring);
    if (done) done = dataplane->set_vips({vip});
    if (done) done = dataplane->set_interfaces({{.name = "one", .guard = true}});
    if (!done) return tl::unexpected(done.error());
    dataplane->keep();
    return dataplane;
  }

  /// The program that is attached.
  static Fd program() {
    uint32_t id = 0;
    const int index = static_cast<int>(if_nametoindex("one"));
    if (bpf_xdp_query_id(index, 0, &id) != 0) return Fd();
    return Fd(bpf_prog_get_fd_by_id(id));
  }

  PrivateNetns netns_;
  PrivateBpffs bpffs_;
};

/// SYNs of one kind through the program, one after the other, each with an ISN of its own.
class Traffic {
 public:
  Traffic(int program, Packet packet)
      : thread_([this, program, packet = std::move(packet)]() mutable { run(program, packet); }) {}
  ~Traffic() { stop(); }
  uint64_t stop() {
    ends_ = true;
    if (thread_.joinable()) thread_.join();
    return sent_;
  }
  uint64_t dropped() const { return dropped_; }

 private:
  void run(int program, Packet& packet) {
    while (!ends_) {
      packet.tcp.sequence++;
      const Bytes frame = packet.frame();
      LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(),
                  .data_size_in = static_cast<uint32_t>(frame.size()), .repeat = 1);
      if (bpf_prog_test_run_opts(program, &opts) != 0) return;
      sent_++;
      if (opts.retval != XDP_PASS) dropped_++;
    }
  }

  std::atomic<bool> ends_ = false;
  std::atomic<uint64_t> sent_ = 0, dropped_ = 0;
  std::thread thread_;
};

TEST_F(PolicyReload, NoSynIsLostOrJudgedByHalfAPolicy) {
  const Packet valid = GuardWorld::syn("192.0.2.1");
  Packet invalid = valid;
  invalid.tcp.options[4] ^= 0xff;
  const VipConfig vip = vip_for(valid);
  auto dataplane = open(lenient(vip));
  ASSERT_OK(dataplane);
  const Fd fd = program();
  ASSERT_TRUE(fd) << "nothing is attached";
  Traffic good(fd.get(), valid), bad(fd.get(), invalid);
  for (int i = 0; i < kReloads; ++i) {
    ASSERT_OK(dataplane->set_vips({i % 2 == 0 ? harsh(vip) : lenient(vip)}));
  }
  const uint64_t sent = good.stop() + bad.stop();
  EXPECT_EQ(good.dropped() + bad.dropped(), 0U) << "of " << sent;
  const auto counted = dataplane->counters();
  ASSERT_OK(counted);
  const tfo_counters& counters = counted->vips.at(0).counters;
  EXPECT_EQ(packet_total(counters), sent) << "all of them were this VIP's";
  EXPECT_EQ(counters.action[TFO_DROP], 0U);
  EXPECT_GT(counters.action[TFO_DEMOTE], 0U) << "the lenient one acted";
  EXPECT_GT(counters.would[TFO_DROP], 0U) << "the harsh one would have";
}

TEST_F(PolicyReload, LimitsFollowTheServersAndOutliveTheDaemon) {
  VipConfig vip = vip_for(GuardWorld::syn("192.0.2.1"));
  const auto limit = [](const Dataplane& dataplane) {
    return dataplane.guard().settings(*dataplane.slot_of("web"))->limit[TFO_LEVEL_NETWORK];
  };
  ServerFacts facts;
  {
    auto dataplane = open(vip);
    ASSERT_OK(dataplane);
    EXPECT_EQ(limit(*dataplane), 0U) << "nothing is known";
    facts.fastopen_limit = 4096;
    ASSERT_OK(dataplane->set_servers(vip, facts));
    EXPECT_EQ(limit(*dataplane), 512U);
    facts.fastopen_limit = 1024;
    facts.balancers = 2;
    ASSERT_OK(dataplane->set_servers(vip, facts));
    EXPECT_EQ(limit(*dataplane), 64U) << "they follow";
    VipConfig other = vip;
    other.name = "other";
    ASSERT_OK(dataplane->set_servers(other, {}));
    EXPECT_EQ(limit(*dataplane), 64U) << "another VIP's servers";
    vip.mode = TFO_ENFORCE;
    ASSERT_OK(dataplane->set_vips({vip}));
    EXPECT_EQ(limit(*dataplane), 64U) << "a reload";
  }
  auto dataplane = open(vip);
  ASSERT_OK(dataplane);
  EXPECT_EQ(limit(*dataplane), 64U) << "a restart, and nothing is heard yet";
  ASSERT_OK(dataplane->set_servers(vip, {}));
  EXPECT_EQ(limit(*dataplane), 0U) << "heard that there is none";
}

}  // namespace
}  // namespace tfo::test
