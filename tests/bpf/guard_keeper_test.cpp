// SPDX-License-Identifier: BSD-2-Clause
// What the keeper makes of the servers' overflows and of their SYN-ACKs, in the settings that the
// programs go by.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <net/if.h>

#include <algorithm>

#include "loader/dataplane/dataplane.h"
#include "loader/dataplane/fd.h"
#include "loader/guard/keeper.h"
#include "loader/keys/ring.h"
#include "tests/support/cases.h"
#include "tests/support/guard_egress.h"
#include "tests/support/guard_world.h"
#include "tests/support/outcome.h"
#include "tests/support/sandbox.h"

namespace tfo::test {
namespace {

constexpr uint32_t kTcxLink = 11;  // of Linux 6.6; older headers lack it

class HandClock : public Clock {
 public:
  Moment now() const override { return moment; }
  int64_t boot_offset_ns() const override { return 0; }
  Moment moment{.unix_s = 1'790'000'000, .boot_s = 1000, .boot_id = "boot"};
};

VipConfig vip(const std::string& name, const std::string& address, const std::string& pool) {
  VipConfig vip{.name = name,
                .addresses = {parse_network(address)->address},
                .ports = {443},
                .pool = pool,
                .mode = TFO_ENFORCE};
  vip.guard.vip_limit = 100;
  return vip;
}

class GuardKeeping : public testing::Test {
 protected:
  void SetUp() override {
    if (!netns_.ok() || !bpffs_.ok()) GTEST_SKIP() << "needs root: network namespace and bpffs";
    ASSERT_TRUE(netns_.add_veth("one"));
    config_.vips = {vip("web", "192.0.2.10", "web"), vip("other", "198.18.0.2", "other")};
    auto opened = Dataplane::open({.pin_directory = bpffs_.pins(),
                                   .vips = 2,
                                   .vip_rows = 2,
                                   .handshakes = 1024,
                                   .boot_offset_ns = [] { return int64_t{0}; },
                                   .checkpoint = {}});
    ASSERT_OK(opened);
    dataplane_.emplace(std::move(*opened));
    KeyRing ring;
    ring.generations.push_back({.id = 1,
                                .key = Key::parse(kCurrentKey).value(),
                                .place = TFO_PLACE_CURRENT,
                                .created_at = 1000,
                                .not_after = 0});
    for (const char* pool : {"web", "other"}) ASSERT_OK(dataplane_->set_ring(pool, ring));
    ASSERT_OK(dataplane_->set_vips(config_.vips));
    ASSERT_OK(dataplane_->set_interfaces({{.name = "one", .egress = true, .guard = true}}));
    ASSERT_TRUE(dataplane_->interfaces()[0].egress) << dataplane_->interfaces()[0].egress_error;
  }

  static void run(const Fd& program, const Packet& packet) {
    const Bytes frame = packet.frame();
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()), .repeat = 1);
    ASSERT_EQ(bpf_prog_test_run_opts(program.get(), &opts), 0);
  }
  /// A client's SYN, each from a network of its own, comes to "web".
  static Packet open(unsigned network) {
    Packet syn = GuardWorld::syn("10.0." + std::to_string(network) + ".1");
    uint32_t id = 0;
    EXPECT_EQ(bpf_xdp_query_id(static_cast<int>(if_nametoindex("one")), 0, &id), 0);
    run(Fd(bpf_prog_get_fd_by_id(id)), syn);
    return syn;
  }
  /// The server's SYN-ACK to it leaves.
  void answer(const Packet& syn) const {
    Fd program(bpf_obj_get((bpffs_.pins() / "egress" / "one").c_str()));
    bpf_link_info info{};
    uint32_t size = sizeof(info);
    ASSERT_EQ(bpf_obj_get_info_by_fd(program.get(), &info, &size), 0);
    if (info.type == kTcxLink) {  // else it is the program, which begins with its type, too
      program = Fd(bpf_prog_get_fd_by_id(info.prog_id));
    }
    run(program, syn_ack(syn, 77, 20));
  }
  bool raised(const std::string& id, const std::string& vip) const {
    return std::ranges::any_of(conditions_.list(), [&](const Condition& one) {
      return one.id == id && one.subject == vip;
    });
  }

  /// The servers of "web" have overflown so often; nothing: none of them tells.
  void tick(GuardKeeper& keeper, std::optional<uint64_t> overflows) {
    const auto ticked = keeper.tick(*dataplane_, config_, [&](const std::string& pool) {
      return pool == "web" ? overflows : std::optional<uint64_t>();
    });
    ASSERT_OK(ticked);
  }
  uint32_t flags(const std::string& vip) const {
    return dataplane_->guard().settings(*dataplane_->slot_of(vip))->flags;
  }

  PrivateNetns netns_;
  PrivateBpffs bpffs_;
  Config config_;
  std::optional<Dataplane> dataplane_;
  HandClock clock_;
  Conditions conditions_{[this] { return clock_.moment.unix_s; }};
};

TEST_F(GuardKeeping, TellsTheProgramsThatQueuesAreFull) {
  GuardKeeper keeper(conditions_, clock_);
  tick(keeper, 5);
  EXPECT_EQ(flags("web"), TFO_GUARD_ON) << "the first number tells nothing";
  tick(keeper, 5);
  EXPECT_EQ(flags("web"), TFO_GUARD_ON);
  tick(keeper, 6);
  EXPECT_TRUE(flags("web") & TFO_GUARD_OVERFLOW);
  EXPECT_TRUE(flags("web") & TFO_GUARD_COUNT_OPENS) << "and little is open here: evaded";
  EXPECT_EQ(flags("other"), TFO_GUARD_ON) << "another pool's servers";
  clock_.moment.boot_s += GuardKeeper::kEvaded - 1;
  tick(keeper, 6);
  EXPECT_TRUE(flags("web") & TFO_GUARD_OVERFLOW);
  clock_.moment.boot_s += 1;
  tick(keeper, 6);
  EXPECT_EQ(flags("web"), TFO_GUARD_ON) << "over";
  tick(keeper, 2);
  EXPECT_EQ(flags("web"), TFO_GUARD_ON) << "a server that was restarted";
  tick(keeper, std::nullopt);
  tick(keeper, 9);
  EXPECT_EQ(flags("web"), TFO_GUARD_ON) << "heard of again";
}

/// The cap is half of what the servers hold: also at the cap they must not be full.
TEST_F(GuardKeeping, FullQueuesAreSaidAtWhateverLoad) {
  config_.vips[0].guard.vip_limit = 4;
  ASSERT_OK(dataplane_->set_vips(config_.vips));
  GuardKeeper keeper(conditions_, clock_);
  for (unsigned i = 0; i < 5; ++i) open(i);
  tick(keeper, 5);
  ASSERT_GE(keeper.view()[0].load, 4U) << "at its cap";
  EXPECT_FALSE(raised("guard_evaded", "web"));
  tick(keeper, 6);
  EXPECT_TRUE(raised("guard_evaded", "web"));
  EXPECT_TRUE(flags("web") & TFO_GUARD_COUNT_OPENS);
}

TEST_F(GuardKeeping, TheExactFormIsArmedByASynAckThatLeaves) {
  GuardKeeper keeper(conditions_, clock_);
  tick(keeper, std::nullopt);
  EXPECT_FALSE(flags("web") & TFO_GUARD_EXACT) << "no proof yet";
  const Packet syn = open(0);
  tick(keeper, std::nullopt);
  EXPECT_FALSE(flags("web") & TFO_GUARD_EXACT);
  answer(syn);
  tick(keeper, std::nullopt);
  EXPECT_TRUE(flags("web") & TFO_GUARD_EXACT);
  EXPECT_TRUE(keeper.view()[0].exact);
  EXPECT_FALSE(flags("other") & TFO_GUARD_EXACT) << "another VIP's servers";

  GuardKeeper next(conditions_, clock_);
  tick(next, std::nullopt);
  EXPECT_TRUE(flags("web") & TFO_GUARD_EXACT) << "the tfod before this one had the proof";
  for (unsigned i = 1; i <= EgressProof::kUnanswered; ++i) open(i);
  tick(next, std::nullopt);
  EXPECT_TRUE(flags("web") & TFO_GUARD_EXACT) << "their answers may be under way";
  clock_.moment.boot_s += EgressProof::kWhile;
  tick(next, std::nullopt);
  EXPECT_FALSE(flags("web") & TFO_GUARD_EXACT);
  EXPECT_TRUE(raised("egress_blind", "web"));
  EXPECT_FALSE(raised("egress_blind", "other"));
  answer(open(30));
  tick(next, std::nullopt);
  EXPECT_TRUE(flags("web") & TFO_GUARD_EXACT) << "they are back";
  EXPECT_FALSE(raised("egress_blind", "web"));
}

}  // namespace
}  // namespace tfo::test
