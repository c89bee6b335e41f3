// SPDX-License-Identifier: BSD-2-Clause
//
// Rings are replaced as fast as the writer can while the program judges SYNs with a valid cookie on
// another CPU: none may be judged wrong. Two writers that break the rules show that this test sees
// what it is meant to see.
#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <thread>

#include "bpf/cookie.h"
#include "loader/dataplane/private_load.h"
#include "tests/support/options.h"
#include "tests/support/packet.h"

namespace tfo::test::lifecycle_rotation_test {
namespace {

constexpr uint32_t kBurst = 2000;
constexpr uint64_t kBlock = 1024;  // rings made ready, then written back to back
constexpr uint32_t kPool = 0;      // the first pool of a private load
constexpr const char* kSource = "2001:db8:1::7";
constexpr const char* kVip = "2001:db8:2::80";

/// IPv6: its longer hash keeps a packet longer at work on a ring.
Bytes syn_with_cookie(uint64_t k0, uint64_t k1) {
  tfo_flow flow{};
  flow.family = 6;
  std::memcpy(&flow.word[0], Address::of(kSource).bytes.data(), 16);
  std::memcpy(&flow.word[2], Address::of(kVip).bytes.data(), 16);
  const uint64_t cookie = tfo_make_cookie(k0, k1, &flow);
  Bytes bytes(sizeof(cookie));
  std::memcpy(bytes.data(), &cookie, sizeof(cookie));
  return Packet::syn(kSource, kVip).option(fast_open(bytes)).frame();
}

/// How a ring comes into the maps.
using Writer = std::function<Result<>(PrivateLoad& load, const tfo_ring& ring)>;

Result<> by_the_rules(PrivateLoad& load, const tfo_ring& ring) {
  return load.set_ring("web", ring);
}

Result<> in_place(PrivateLoad& load, const tfo_ring& ring) {
  const MapSet& maps = load.maps();
  return maps.rings.set(kPool * 2 + maps.control.pool_side(kPool), ring);
}

Result<> without_grace_period(PrivateLoad& load, const tfo_ring& ring) {
  const MapSet& maps = load.maps();
  const uint32_t idle = 1 - maps.control.pool_side(kPool);
  auto written = maps.rings.set(kPool * 2 + idle, ring);
  if (written) maps.control.set_pool_side(kPool, idle);
  return written;
}

void run_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

class AtomicRotation : public testing::Test {
 protected:
  void SetUp() override {
    if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "needs two CPUs";
    auto load = PrivateLoad::load({});
    if (!load) GTEST_SKIP() << load.error().message;
    load_ = std::make_unique<PrivateLoad>(std::move(*load));
    tested_.k0 = random_();
    tested_.k1 = random_();
    tested_.not_after_ns = UINT64_MAX;
    frame_ = syn_with_cookie(tested_.k0, tested_.k1);
    ASSERT_TRUE(load_->set_ring("web", next_ring()));
    const VipConfig vip{
        .name = "vip", .addresses = {Address::of(kVip).bytes}, .ports = {443}, .pool = "web"};
    ASSERT_TRUE(load_->set_vips({vip}));
  }

  /// The tested key in another place and position, among keys that were never there before.
  tfo_ring next_ring() {
    tfo_ring ring{};
    ring.count = TFO_MAX_GENERATIONS;
    for (uint32_t i = 0; i < ring.count; ++i) {
      ring.generation[i] = {random_(), random_(), UINT64_MAX, TFO_PLACE_RETIRED, 0};
    }
    tfo_generation& at = ring.generation[random_() % ring.count];
    at = tested_;
    at.place = static_cast<uint32_t>(random_() % (TFO_PLACE_RETIRED + 1));
    return ring;
  }

  static uint64_t judged_valid(const Snapshot& counted) {
    uint64_t valid = 0;
    for (const unsigned reason :
         {TFO_COOKIE_CURRENT, TFO_COOKIE_STAGED, TFO_COOKIE_PREVIOUS, TFO_COOKIE_RETIRED}) {
      valid += reason_total(counted.vips[0].counters, reason);
    }
    return valid;
  }

  /// Cookies judged wrong so far. The CPUs are read one after the other and a packet counts once,
  /// so this needs no pause.
  uint64_t judged_wrong() const {
    const auto counted = load_->counters();
    return packet_total(counted->vips[0].counters) - judged_valid(*counted);
  }

  /// SYNs judged wrong while `writer` replaces rings; ends at `replacements`, or once some were
  /// judged wrong if `until_wrong`.
  uint64_t wrong_with(const Writer& writer, uint64_t replacements, bool until_wrong) {
    std::atomic<bool> stop = false;
    std::atomic<uint64_t> sent = 0;
    std::thread packets([&] {
      run_on(0);
      while (!stop) {
        if (!load_->run(frame_, kBurst)) break;
        sent += kBurst;
      }
    });
    run_on(1);
    uint64_t done = 0;
    while (done < replacements && (!until_wrong || judged_wrong() == 0)) {
      std::vector<tfo_ring> block(std::min<uint64_t>(kBlock, replacements - done));
      for (auto& ring : block) ring = next_ring();
      for (const auto& ring : block) {
        const auto written = writer(*load_, ring);
        EXPECT_TRUE(written) << written.error().message;
      }
      done += block.size();
    }
    stop = true;
    packets.join();
    const uint64_t wrong = sent - judged_valid(*load_->counters());
    std::printf("%lu replacements, %lu SYNs, %lu judged wrong\n", done, sent.load(), wrong);
    return wrong;
  }

  std::mt19937_64 random_{test_seed()};
  std::unique_ptr<PrivateLoad> load_;
  tfo_generation tested_{};
  Bytes frame_;
};

TEST_F(AtomicRotation, JudgesNoCookieWrong) {
  EXPECT_EQ(wrong_with(by_the_rules, full() ? 10'000 : 500, false), 0U);
}

TEST_F(AtomicRotation, AWriterThatEditsInPlaceIsCaught) {
  EXPECT_GT(wrong_with(in_place, 10'000'000, true), 0U);
}

TEST_F(AtomicRotation, AWriterThatWaitsForNoGracePeriodIsCaught) {
  EXPECT_GT(wrong_with(without_grace_period, 10'000'000, true), 0U);
}

}  // namespace
}  // namespace tfo::test::lifecycle_rotation_test
