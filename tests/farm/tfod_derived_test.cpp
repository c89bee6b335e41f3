// SPDX-License-Identifier: BSD-2-Clause
// A real tfod with a derived pool: the kernel's key follows the clock, whatever happens to the
// daemon, its secret and its clock.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <fstream>

#include "loader/keys/derived_ring.h"
#include "tests/support/tfod_process.h"

namespace tfo::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kInterval = 10;

double wall() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

class TfodDerived : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_TRUE(site_.ok());
    write_secret();
    std::ofstream(site_.path("clock")) << "0\n";
    site_.config["pools"] = {{"web",
                              {{"store", "derived"},
                               {"secret", site_.path("secret")},
                               {"interval", "10s"},
                               {"max_skew", "0s"}}}};
    site_.config["server"] = {{"namespaces", {{{"pool", "web"}}}}};
  }

  void write_secret() const {
    std::ofstream(site_.path("secret")) << secret_;
    chmod(site_.path("secret").c_str(), 0600);
  }
  void set_offset(const std::string& text) const {
    std::ofstream(site_.path("clock.new")) << text << "\n";
    std::filesystem::rename(site_.path("clock.new"), site_.path("clock"));
  }

  /// What this network namespace's kernel holds.
  static std::string held() {
    std::string text = slurp("/proc/sys/net/ipv4/tcp_fastopen_key");
    while (text.ends_with('\n')) text.pop_back();
    return text;
  }
  /// What a server acting 2 s late holds at that time.
  std::string derived(double time) const {
    const auto secret = DerivedSecret::parse(secret_);
    return derived_text(*secret, kInterval, static_cast<int64_t>(time) - kDerivedDelay)->str();
  }
  /// Is the kernel's key right, or was it until a moment ago?
  bool right(double offset = 0) const {
    const double now = wall() + offset;
    const std::string key = held();
    return key == derived(now) || key == derived(now - 0.5);
  }

  /// Would the farm hold other keys by now, and not only since a moment ago?
  bool outdated(const std::string& key) const {
    return derived(wall()) != key && derived(wall() - 1) != key;
  }

  std::string secret_ = std::string(32, 'f');
  TfodSite site_;
};

TEST_F(TfodDerived, TheKernelsKeyFollowsEdgesAndMiddles) {
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  EXPECT_TRUE(right()) << held();
  double worst = 0;
  for (int change = 0; change < 3; ++change) {
    const std::string before = held();
    ASSERT_TRUE(wait_until([&] { return held() != before; }, 8)) << tfod.log();
    const double seen = wall();
    EXPECT_EQ(held(), derived(seen));
    const double late = std::fmod(seen, kInterval / 2.0) - kDerivedDelay;
    EXPECT_GE(late, 0);
    EXPECT_LT(late, 2.5) << "half of what is left of the half interval; a busy machine is late";
    worst = std::max(worst, late);
  }
  std::printf("changed at most %.3f s after the due moment\n", worst);
  EXPECT_THAT(tfod.log(), Not(HasSubstr(held().substr(0, 35))));
  const auto pool = site_.status()["pools"][0];
  EXPECT_EQ(pool["store"], "derived");
  EXPECT_GT(pool["next_rotation"].get<int64_t>(), static_cast<int64_t>(wall()) - 10);
  EXPECT_TRUE(site_.status()["conditions"].empty()) << site_.status();
  const auto refused = site_.ask({{"command", "key-rotate"}});
  EXPECT_EQ(refused["ok"], false);
  EXPECT_THAT(refused.dump(), HasSubstr("NEWHEX"));
}

TEST_F(TfodDerived, ARestartInBetweenChangesNothing) {
  const auto config = site_.write();
  for (const int number : {SIGTERM, SIGKILL, SIGKILL}) {
    TfodProcess tfod(config, site_.path("log"));
    ASSERT_TRUE(tfod.ready()) << tfod.log();
    EXPECT_TRUE(right()) << held();
    tfod.signal(number);
    EXPECT_EQ(tfod.wait(), number == SIGTERM ? 0 : 128 + SIGKILL);
    // The last time around an edge or a middle passes without a daemon.
    const std::string before = held();
    if (number == SIGKILL) wait_until([&] { return derived(wall()) != before; }, 6);
    EXPECT_EQ(held(), before);
  }
  TfodProcess tfod(config, site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  EXPECT_TRUE(right()) << held();
}

TEST_F(TfodDerived, WithoutItsSecretTheKeysStayAndItIsSaid) {
  TfodProcess tfod(site_.write(), site_.path("log"));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  ASSERT_TRUE(std::filesystem::remove(site_.path("secret")));
  ASSERT_TRUE(wait_until([&] { return site_.raised("key_store_failed"); }, 10)) << tfod.log();
  const std::string before = held();
  ASSERT_TRUE(wait_until([&] { return outdated(before); }, 8));
  EXPECT_EQ(held(), before);
  EXPECT_TRUE(site_.raised("key_store_failed"));
  EXPECT_FALSE(site_.raised("rotation_held"));
  write_secret();
  ASSERT_TRUE(wait_until([&] { return right(); }, 10)) << tfod.log();
  ASSERT_TRUE(wait_until([&] { return !site_.raised("key_store_failed"); }, 10));
}

TEST_F(TfodDerived, ASecretIsNeededToStart) {
  ASSERT_EQ(chmod(site_.path("secret").c_str(), 0644), 0);
  TfodProcess tfod(site_.write(), site_.path("log"));
  EXPECT_EQ(tfod.wait(), 2);
  EXPECT_THAT(tfod.log(), HasSubstr("chmod it to 0600"));
}

TEST_F(TfodDerived, AClockThatIsSetIsFollowedAtOnce) {
  TfodProcess tfod(site_.write(), site_.path("log"), {}, clocked_tfod(site_.path("clock")));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  for (const double offset : {3600.0, -3600.25, 0.0}) {
    set_offset(std::to_string(offset));
    EXPECT_TRUE(wait_until([&] { return right(offset); }, 2)) << offset << tfod.log();
    EXPECT_TRUE(site_.raised("clock_suspect"));
  }
  // Asleep for an hour: no step, and the ring is that of the present.
  set_offset("0 3600");
  EXPECT_TRUE(wait_until([&] { return right(3600); }, 2)) << tfod.log();
}

TEST_F(TfodDerived, AClockThatNobodyKeepsAndThatIsBehindIsNotFollowed) {
  TfodProcess tfod(site_.write(), site_.path("log"), {}, clocked_tfod(site_.path("clock")));
  ASSERT_TRUE(tfod.ready()) << tfod.log();
  const std::string before = held();
  set_offset("-1000000 unsynchronised");
  ASSERT_TRUE(wait_until([&] { return site_.raised("clock_unsure"); }, 5)) << tfod.log();
  const std::string kept = held();
  EXPECT_TRUE(kept == before || kept == derived(wall()));
  ASSERT_TRUE(wait_until([&] { return outdated(kept); }, 8));
  EXPECT_EQ(held(), kept);
  tfod.signal(SIGKILL);
  tfod.wait();
  TfodProcess again(site_.write(), site_.path("log"), {}, clocked_tfod(site_.path("clock")));
  ASSERT_TRUE(again.ready()) << again.log();
  EXPECT_EQ(held(), kept) << "a boot with a wrong clock";
  set_offset("0");
  EXPECT_TRUE(wait_until([&] { return right(); }, 5)) << again.log();
  EXPECT_FALSE(site_.raised("clock_unsure"));
}

}  // namespace
}  // namespace tfo::test
