// SPDX-License-Identifier: BSD-2-Clause
// What the keeper makes of the servers' overflows, in the settings that the programs go by.
#include <gtest/gtest.h>

#include "loader/dataplane/dataplane.h"
#include "loader/guard/keeper.h"
#include "loader/keys/ring.h"
#include "tests/support/outcome.h"
#include "tests/support/sandbox.h"

namespace tfo::test {
namespace {

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
    config_.vips = {vip("web", "198.18.0.1", "web"), vip("other", "198.18.0.2", "other")};
    auto opened = Dataplane::open({.pin_directory = bpffs_.pins(),
                                   .vips = 2,
                                   .vip_rows = 2,
                                   .handshakes = 1024,
                                   .boot_offset_ns = [] { return int64_t{0}; },
                                   .checkpoint = {}});
    ASSERT_OK(opened);
    dataplane_.emplace(std::move(*opened));
    for (const char* pool : {"web", "other"}) ASSERT_OK(dataplane_->set_ring(pool, KeyRing{}));
    ASSERT_OK(dataplane_->set_vips(config_.vips));
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

}  // namespace
}  // namespace tfo::test
