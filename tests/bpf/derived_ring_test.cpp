// SPDX-License-Identifier: BSD-2-Clause
// Derived rings in the program: the end of one that nobody renews, and captures of the past.
#include "loader/keys/derived_ring.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "bpf/cookie.h"
#include "loader/dataplane/private_load.h"
#include "loader/dataplane/ring_writer.h"
#include "loader/replay/world.h"
#include "tests/support/packet.h"

namespace tfo::test {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr const char* kSource = "2001:db8:1::7";
constexpr const char* kVip = "2001:db8:2::80";
constexpr DerivedPolicy kPolicy{
    .interval = 100, .max_skew_ms = 0, .accept_generations = 1, .not_after = 300};

const VipConfig& vip() {
  static const VipConfig kOne{
      .name = "vip", .addresses = {Address::of(kVip).bytes}, .ports = {443}, .pool = "web"};
  return kOne;
}

Key key(int64_t index) {
  return *DerivedSecret::parse(std::string(32, 's'))->key(static_cast<uint64_t>(index));
}

Bytes syn_under(const Key& key) {
  tfo_flow flow{};
  flow.family = 6;
  std::memcpy(&flow.word[0], Address::of(kSource).bytes.data(), 16);
  std::memcpy(&flow.word[2], Address::of(kVip).bytes.data(), 16);
  const uint64_t cookie = tfo_make_cookie(key.k0(), key.k1(), &flow);
  Bytes bytes(sizeof(cookie));
  std::memcpy(bytes.data(), &cookie, sizeof(cookie));
  return Packet::syn(kSource, kVip).option(fast_open(bytes)).frame();
}

TEST(DerivedDeadMan, ARingThatNobodyRenewsEnds) {
  auto load = PrivateLoad::load({});
  if (!load) GTEST_SKIP() << load.error().message;
  constexpr int64_t kBoot = 5000;  // unix time of boot
  const auto ring = derived_ring(*DerivedSecret::parse(std::string(32, 's')), kPolicy,
                                 DerivedHalf::at(kPolicy.interval, 10'010));
  ASSERT_TRUE(ring);
  auto kernel = kernel_ring(*ring, kBoot * static_cast<int64_t>(kSecond));
  ASSERT_TRUE(load->set_ring("web", *kernel));
  ASSERT_TRUE(load->set_vips({vip()}));
  const auto reason = [&](int64_t unix_s, int64_t index) {
    load->set_now(static_cast<uint64_t>(unix_s - kBoot) * kSecond);
    const Snapshot old = *load->counters();
    EXPECT_TRUE(load->run(syn_under(key(index))));
    const Snapshot now = *load->counters();
    for (unsigned id = 0; id < TFO_REASON_COUNT; ++id) {
      const uint64_t before = reason_total(old.vips[0].counters, id);
      if (reason_total(now.vips[0].counters, id) > before) return static_cast<int>(id);
    }
    return -1;
  };
  EXPECT_EQ(reason(10'010, 100), TFO_COOKIE_CURRENT);
  EXPECT_EQ(reason(10'010, 99), TFO_COOKIE_PREVIOUS);
  EXPECT_EQ(reason(10'010, 101), TFO_COOKIE_STAGED);
  EXPECT_EQ(reason(10'010, 98), TFO_COOKIE_RETIRED);
  EXPECT_EQ(reason(10'010, 97), TFO_COOKIE_INVALID);
  // The daemon is dead. The retired one goes when its turn is over, the others with the ring.
  EXPECT_EQ(reason(10'103, 98), TFO_COOKIE_INVALID);
  EXPECT_EQ(reason(10'299, 100), TFO_COOKIE_CURRENT);
  EXPECT_EQ(reason(10'301, 100), TFO_NO_KEY);
  EXPECT_EQ(reason(10'301, 101), TFO_NO_KEY);
}

class DerivedReplay : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "tfo-replay-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    const std::string secret = directory_ / "secret";
    std::ofstream(secret) << std::string(32, 's');
    ASSERT_EQ(chmod(secret.c_str(), 0600), 0);
    const auto config = parse_config(fmt::format(R"({{"interfaces": [{{"name": "eth0"}}],
          "pools": {{"web": {{"store": "derived", "secret": "{}", "interval": "100s",
                              "accept_generations": 1}}}},
          "vips": [{{"name": "vip", "addresses": ["{}"], "ports": [443], "pool": "web"}}]}})",
                                                 secret, kVip),
                                     "test");
    ASSERT_TRUE(config) << config.error().front().text();
    auto world = ReplayWorld::for_config(*config);
    if (!world) GTEST_SKIP() << world.error().message;
    world_.emplace(std::move(*world));
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  int reason(int64_t unix_s, int64_t index) {
    EXPECT_TRUE(world_->set_now(static_cast<uint64_t>(unix_s) * kSecond));
    const Bytes bytes = syn_under(key(index));
    const auto judged = world_->hook("eth0").judge(
        {.bytes = bytes, .wire_length = static_cast<uint32_t>(bytes.size())}, nullptr);
    if (!judged || !*judged) return -1;
    EXPECT_NE(world_->ring((*judged)->slot).find(key(unix_s / 100)), nullptr);
    return (*judged)->reason;
  }

  std::filesystem::path directory_;
  std::optional<ReplayWorld> world_;
};

TEST_F(DerivedReplay, JudgesWithTheKeysOfTheCapturesTime) {
  EXPECT_EQ(reason(1'000'010, 10'000), TFO_COOKIE_CURRENT);
  EXPECT_EQ(reason(1'000'020, 9'999), TFO_COOKIE_PREVIOUS);
  EXPECT_EQ(reason(1'000'052, 9'999), TFO_COOKIE_RETIRED);
  EXPECT_EQ(reason(1'000'053, 10'001), TFO_COOKIE_STAGED);
  EXPECT_EQ(reason(1'000'101, 10'000), TFO_COOKIE_CURRENT);
  EXPECT_EQ(reason(1'000'102, 10'000), TFO_COOKIE_PREVIOUS);
  EXPECT_EQ(reason(1'000'102, 10'001), TFO_COOKIE_CURRENT);
  EXPECT_EQ(reason(1'000'402, 10'001), TFO_COOKIE_INVALID);
  // A capture that goes back, or another day's.
  EXPECT_EQ(reason(1'000'010, 10'000), TFO_COOKIE_CURRENT);
  EXPECT_EQ(reason(1'700'000'010, 17'000'000), TFO_COOKIE_CURRENT);
}

}  // namespace
}  // namespace tfo::test
