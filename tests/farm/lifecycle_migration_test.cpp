// SPDX-License-Identifier: BSD-2-Clause
//
// Maps that do not fit are replaced under traffic, and the process that does it dies at every step
// in turn: no count may be lost or counted twice.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <set>

#include "loader/dataplane/dataplane.h"
#include "tests/support/frame_sender.h"
#include "tests/support/options.h"
#include "tests/support/packet.h"
#include "tests/support/sandbox.h"

namespace tfo::test {
namespace {

VipConfig vip(const std::string& name, uint8_t host) {
  ConfigAddress address{};
  address[10] = address[11] = 0xff;
  address[12] = 198;
  address[13] = 51;
  address[14] = 100;
  address[15] = host;
  return {.name = name, .addresses = {address}, .ports = {}, .pool = "web"};
}

Bytes syn_to(uint8_t host) {
  return Packet::syn("192.0.2.1", "198.51.100." + std::to_string(host)).frame();
}

/// Shared with the children that die.
struct Shared {
  uint64_t rounds = 0;      // of traffic: one SYN to each of a, b and nobody on both interfaces
  char last_step[32] = {};  // that a child passed
};

class DataplaneMigration : public testing::Test {
 protected:
  void SetUp() override {
    if (!netns_.ok() || !bpffs_.ok()) GTEST_SKIP() << "needs root: network namespace and bpffs";
    void* memory =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    shared_ = static_cast<Shared*>(memory);
    ASSERT_TRUE(netns_.add_veth("one"));
    ASSERT_TRUE(netns_.add_veth("two"));
  }
  void TearDown() override {
    if (shared_ != nullptr) munmap(shared_, sizeof(Shared));
  }

  void traffic() {
    const std::vector<Bytes> frames{syn_to(1), syn_to(2), syn_to(9)};
    FrameSender("one_peer").send(frames, 3);
    FrameSender("two_peer").send(frames, 3);
    ++shared_->rounds;
  }

  /// A whole start with maps for `vips` VIPs; dies after `steps` steps (0: never).
  Result<Dataplane> start(size_t vips, const std::vector<VipConfig>& config, int steps) {
    auto dataplane = Dataplane::open(
        {.pin_directory = bpffs_.pins(),
         .vips = vips,
         .vip_rows = vips,
         .boot_offset_ns = {},
         .checkpoint = [this, steps, done = 0](const char* step) mutable {
           traffic();
           std::snprintf(shared_->last_step, sizeof(shared_->last_step), "%s", step);
           if (++done == steps) _exit(9);
         }});
    if (!dataplane) return dataplane;
    auto done = dataplane->set_vips(config);
    if (done) done = dataplane->set_interfaces({{.name = "one"}, {.name = "two"}});
    if (!done) return tl::unexpected(done.error());
    dataplane->keep();
    return dataplane;
  }

  /// start() in a child. True if it died on the way.
  bool dies(size_t vips, const std::vector<VipConfig>& config, int steps) {
    const pid_t child = fork();
    if (child == 0) _exit(start(vips, config, steps) ? 0 : 1);
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 1) << "the start failed";
    return WEXITSTATUS(status) == 9;
  }

  void expect_all_counted(const Dataplane& dataplane) {
    const uint64_t each = 2 * shared_->rounds;
    Snapshot counted;
    wait_until([&] {
      counted = *dataplane.counters();
      return packet_total(counted.node) >= each;
    });
    EXPECT_EQ(packet_total(counted.node), each);
    for (const auto& v : counted.vips) {
      const bool met = v.name == "a" || v.name == "b";
      EXPECT_EQ(packet_total(v.counters), met ? each : 0U) << v.name;
    }
    EXPECT_FALSE(std::filesystem::exists(bpffs_.pins() / "maps_new"));
    EXPECT_FALSE(std::filesystem::exists(bpffs_.pins() / "maps_old"));
    EXPECT_FALSE(std::filesystem::exists(bpffs_.pins() / "maps/carry_0"));
  }

  /// The state to start from: both interfaces served, one round counted.
  void begin() {
    auto dataplane = Dataplane::open({.pin_directory = bpffs_.pins(),
                                      .vips = 4,
                                      .vip_rows = 4,
                                      .boot_offset_ns = {},
                                      .checkpoint = {}});
    ASSERT_TRUE(dataplane) << dataplane.error().message;
    ASSERT_TRUE(dataplane->set_vips({vip("a", 1), vip("b", 2)}));
    ASSERT_TRUE(dataplane->set_interfaces({{.name = "one"}, {.name = "two"}}));
    dataplane->keep();
    shared_->rounds = 0;
    traffic();
  }

  PrivateNetns netns_;
  PrivateBpffs bpffs_;
  Shared* shared_ = nullptr;
};

TEST_F(DataplaneMigration, SurvivesDeathAtEveryStep) {
  const std::vector<VipConfig> config{vip("b", 2), vip("new", 3), vip("a", 1)};
  std::set<std::string> steps;
  for (int step = 1;; ++step) {
    ASSERT_NO_FATAL_FAILURE(begin());
    const bool died = dies(200, config, step);
    if (died) steps.insert(shared_->last_step);
    traffic();
    auto dataplane = start(200, config, 0);
    ASSERT_TRUE(dataplane) << dataplane.error().message;
    traffic();
    SCOPED_TRACE("died after step " + std::to_string(step) + ", " + shared_->last_step);
    expect_all_counted(*dataplane);
    if (HasFailure() || !died) break;
    ASSERT_TRUE(dataplane->detach_all());
  }
  for (const char* step : {"new_pinned", "new_ready", "link_updated", "links_switched", "grace",
                           "carried", "old_renamed", "new_renamed", "old_removed"}) {
    EXPECT_TRUE(steps.contains(step)) << step;
  }
}

TEST_F(DataplaneMigration, SurvivesDeathWithinAMigrationAfterAMigrationThatDied) {
  const std::vector<VipConfig> config{vip("b", 2), vip("new", 3), vip("a", 1)};
  // Ready; one link switched; totals carried. Any step in the long form.
  const std::vector<int> steps =
      full() ? std::vector<int>{2, 3, 4, 5, 6, 7, 8} : std::vector<int>{2, 3, 7};
  for (const int first : steps) {
    for (const int second : full() ? steps : std::vector<int>{2, 7}) {
      ASSERT_NO_FATAL_FAILURE(begin());
      SCOPED_TRACE("died after " + std::to_string(first) + " and " + std::to_string(second));
      dies(200, config, first);
      traffic();
      dies(400, config, second);  // what the first one made is too small
      traffic();
      dies(800, config, 4);
      traffic();
      auto dataplane = start(4, config, 0);
      ASSERT_TRUE(dataplane) << dataplane.error().message;
      traffic();
      expect_all_counted(*dataplane);
      if (HasFailure()) return;
      ASSERT_TRUE(dataplane->detach_all());
    }
  }
}

TEST_F(DataplaneMigration, SurvivesDeathWhileItGrowsUnderWay) {
  for (int step = 1;; step += full() ? 1 : 2) {
    ASSERT_NO_FATAL_FAILURE(begin());
    std::vector<VipConfig> many{vip("a", 1), vip("b", 2)};
    for (int i = 0; i < 100; ++i) {
      many.push_back(vip("v" + std::to_string(i), static_cast<uint8_t>(100 + i)));
    }
    const pid_t child = fork();
    if (child == 0) {
      bool armed = false;
      int done = 0;
      auto dataplane = Dataplane::open({.pin_directory = bpffs_.pins(),
                                        .vips = 4,
                                        .vip_rows = 4,
                                        .boot_offset_ns = {},
                                        .checkpoint = [&](const char*) {
                                          if (armed) traffic();
                                          if (armed && ++done == step) _exit(9);
                                        }});
      const std::vector<VipConfig> few{vip("a", 1), vip("b", 2)};
      if (!dataplane || !dataplane->set_vips(few) ||
          !dataplane->set_interfaces({{.name = "one"}, {.name = "two"}})) {
        _exit(1);
      }
      armed = true;
      _exit(dataplane->set_vips(many) ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 1);
    traffic();
    auto dataplane = start(102, many, 0);
    ASSERT_TRUE(dataplane) << dataplane.error().message;
    traffic();
    SCOPED_TRACE("died after step " + std::to_string(step));
    expect_all_counted(*dataplane);
    if (HasFailure() || WEXITSTATUS(status) == 0) break;
    ASSERT_TRUE(dataplane->detach_all());
  }
}

}  // namespace
}  // namespace tfo::test
