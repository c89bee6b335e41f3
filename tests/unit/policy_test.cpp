// SPDX-License-Identifier: BSD-2-Clause
// The policy's decision, the rates it rests on, and the choice of the canary, on the host.
#include "bpf/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "bpf/canary.h"

namespace tfo::test {
namespace {

constexpr uint64_t kSecond = TFO_SECOND_NS;
constexpr uint64_t kStart = 1'000'000 * kSecond;

/// A VIP that drops, and the SYNs that come to it.
class Vip {
 public:
  Vip() {
    policy_.on_invalid = TFO_DROP;
    policy_.drop_above = 100;
    policy_.unproven_rate = 100;
    policy_.unproven_ns = kSecond / 100;
  }
  tfo_policy& policy() { return policy_; }
  tfo_trigger& trigger() { return trigger_; }
  uint64_t now = kStart;

  int decide(tfo_reason reason, tfo_guard_answer guard = TFO_GUARD_OK, int renewable = 0) {
    const tfo_facts facts{.now_ns = now,
                          .reason = reason,
                          .guard = guard,
                          .renewable = renewable,
                          .is_signed = 0,
                          .fresh = 1};
    return tfo_decide(&policy_, &trigger_, &facts);
  }

  /// How many of `count` invalid cookies, evenly over a second, are dropped.
  int second_of(int count, tfo_reason reason = TFO_COOKIE_INVALID) {
    const uint64_t began = now;
    int dropped = 0;
    for (int i = 0; i < count; i++) {
      now = began + kSecond * static_cast<uint64_t>(i) / static_cast<uint64_t>(count);
      dropped += decide(reason) == TFO_DROP ? 1 : 0;
    }
    now = began + kSecond;
    return dropped;
  }
  void prove() { tfo_prove(&trigger_, now); }

 private:
  tfo_policy policy_{};
  tfo_trigger trigger_{};
};

TEST(PolicyDrop, BeginsAboveItsRateAndTakesAllThen) {
  Vip vip;
  vip.prove();
  EXPECT_EQ(vip.second_of(100), 0);
  EXPECT_EQ(vip.second_of(400), 300);
  EXPECT_EQ(vip.second_of(400), 400);
}

TEST(PolicyDrop, EndsOnceTheRateStayedBelowHalfForThirtySeconds) {
  Vip vip;
  const auto minute = [&](int rate) {
    int dropped = 0;
    for (int second = 0; second < 60; second++) {
      vip.prove();
      dropped += vip.second_of(rate);
    }
    return dropped;
  };
  vip.prove();
  vip.second_of(400);
  EXPECT_EQ(minute(50), 60 * 50) << "half of the rate: it goes on";
  const int tail = minute(49);
  EXPECT_GE(tail, 29 * 49);
  EXPECT_LE(tail, 31 * 49);
  EXPECT_EQ(minute(49), 0) << "it has ended";
  EXPECT_EQ(minute(100), 0) << "not above the rate: it does not begin again";
}

TEST(PolicyDrop, OtherSynsDoNotCount) {
  Vip vip;
  vip.prove();
  EXPECT_EQ(vip.second_of(1000, TFO_COOKIE_REVOKED), 0) << "demoted, and counted for nothing";
  EXPECT_EQ(vip.second_of(1000, TFO_COOKIE_CURRENT), 0);
  EXPECT_EQ(vip.decide(TFO_COOKIE_INVALID), TFO_DEMOTE);
}

TEST(PolicyDrop, IsArmedForAMinuteByAValidCookie) {
  Vip vip;
  vip.prove();
  vip.now += TFO_PROOF_NS - kSecond;
  EXPECT_GT(vip.second_of(400), 0);
  EXPECT_EQ(vip.trigger().disarmed_ns, 0U);
  vip.now += kSecond;
  EXPECT_EQ(vip.second_of(400), 0);
  EXPECT_GT(vip.trigger().disarmed_ns, kStart);
  vip.prove();
  EXPECT_EQ(vip.second_of(400), 400);
}

TEST(PolicyDrop, AWrongKeyDropsNobodyAndSaysSoSoon) {
  Vip vip;
  for (int i = 0; i < TFO_DISARMED_AFTER - 1; i++) {
    EXPECT_EQ(vip.decide(TFO_COOKIE_INVALID), TFO_DEMOTE);
  }
  EXPECT_EQ(vip.trigger().disarmed_ns, 0U) << "a stray one says nothing";
  vip.decide(TFO_COOKIE_INVALID);
  EXPECT_EQ(vip.trigger().disarmed_ns, vip.now);
  EXPECT_EQ(vip.second_of(100'000), 0);
}

TEST(PolicyUnproven, OverItsLimitANetworkIsDemotedAsFastAsTheRateAllows) {
  Vip vip;
  int demoted = 0, dropped = 0, owned = 0;
  for (uint64_t i = 0; i < 10'000; i++) {
    vip.now = kStart + i * kSecond / 1000;  // 10 s of 1000/s
    const int would = vip.decide(TFO_COOKIE_CURRENT, TFO_GUARD_OVER);
    demoted += would == TFO_DEMOTE ? 1 : 0;
    dropped += would == TFO_DROP ? 1 : 0;
  }
  EXPECT_EQ(demoted + dropped, 10'000);
  EXPECT_NEAR(demoted, 500, 15) << "half of the rate";
  EXPECT_EQ(vip.decide(TFO_COOKIE_CURRENT, TFO_GUARD_DUPLICATE), TFO_DEMOTE) << "not limited";
  const auto own = static_cast<tfo_guard_answer>(TFO_GUARD_OVER | TFO_GUARD_OWN);
  EXPECT_EQ(vip.decide(TFO_COOKIE_CURRENT, TFO_GUARD_OVER), TFO_DROP);
  EXPECT_EQ(vip.decide(TFO_COOKIE_CURRENT, own), TFO_DEMOTE) << "nobody else uses it up";
  for (uint64_t i = 0; i < 10'000; i++) {
    vip.now += kSecond / 1000;
    owned += vip.decide(TFO_COOKIE_CURRENT, own) == TFO_DEMOTE ? 1 : 0;
    owned += vip.decide(TFO_COOKIE_CURRENT, TFO_GUARD_OVER) == TFO_DEMOTE ? 1 : 0;
  }
  EXPECT_NEAR(owned, 1000, 60) << "very many networks cost the servers no more than the rate";
  EXPECT_EQ(vip.decide(TFO_COOKIE_CURRENT, TFO_GUARD_OK, 1), TFO_RENEW);
}

TEST(PolicyUnproven, ACopyOfADemotedSynIsRationedLikeIt) {
  Vip vip;
  vip.policy().unproven_rate = 1;
  vip.policy().unproven_ns = kSecond;
  const auto copy = static_cast<tfo_guard_answer>(TFO_GUARD_DUPLICATE | TFO_GUARD_OWN);
  EXPECT_EQ(vip.decide(TFO_COOKIE_CURRENT, copy), TFO_DEMOTE);
  EXPECT_EQ(vip.decide(TFO_COOKIE_CURRENT, copy), TFO_DROP);
  const auto own = static_cast<tfo_guard_answer>(TFO_GUARD_OVER | TFO_GUARD_OWN);
  EXPECT_EQ(vip.decide(TFO_COOKIE_CURRENT, own), TFO_DEMOTE) << "not used up by copies";
  EXPECT_EQ(vip.decide(TFO_COOKIE_CURRENT, TFO_GUARD_DUPLICATE), TFO_DEMOTE);
}

TEST(PolicyUnproven, FloodsLetOnlyRetransmissionsThrough) {
  Vip vip;
  vip.policy().flags = TFO_POLICY_RETRY;
  for (int i = 0; i < 100; i++) EXPECT_EQ(vip.decide(TFO_PLAIN), TFO_PASS);
  const int flooded = vip.decide(TFO_PLAIN);
  EXPECT_EQ(flooded, TFO_PASS | TFO_IF_RETRIED);
  EXPECT_EQ(vip.decide(TFO_REQUEST), TFO_PASS | TFO_IF_RETRIED);
  EXPECT_EQ(vip.decide(TFO_COOKIE_INVALID), TFO_DEMOTE | TFO_IF_RETRIED);
  EXPECT_EQ(vip.decide(TFO_COOKIE_CURRENT, TFO_GUARD_OVER), TFO_DEMOTE | TFO_IF_RETRIED);
  EXPECT_EQ(vip.decide(TFO_COOKIE_CURRENT), TFO_PASS) << "a valid cookie is the fast lane";
  EXPECT_EQ(vip.decide(TFO_NO_KEY), TFO_PASS) << "what cannot be checked passes";
  const tfo_facts facts{.now_ns = vip.now,
                        .reason = TFO_PLAIN,
                        .guard = TFO_GUARD_OK,
                        .renewable = 0,
                        .is_signed = 0,
                        .fresh = 1};
  EXPECT_EQ(tfo_decide_retried(&vip.policy(), &vip.trigger(), &facts, flooded, 0), TFO_DROP);
  int passed = 0;
  for (int i = 0; i < 100; i++) {
    const int would = tfo_decide_retried(&vip.policy(), &vip.trigger(), &facts, flooded, 1);
    passed += would == TFO_PASS ? 1 : 0;
  }
  EXPECT_NEAR(passed, 11, 1) << "a tenth of a second's worth at once";
}

TEST(Trigger, LosesNoCountBetweenProcessors) {
  constexpr int kThreads = 4, kEach = 50'000;
  uint64_t cell = 0;
  const auto count = [&cell] {
    for (int i = 0; i < kEach; i++) {
      tfo_trigger_count(reinterpret_cast<__u64*>(&cell), kStart);
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; i++) threads.emplace_back(count);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cell & UINT32_MAX, uint64_t{kThreads} * kEach);
  EXPECT_EQ(cell >> 32, kStart / kSecond);
}

tfo_flow flow_from(uint32_t address) {
  tfo_flow flow{};
  flow.family = 4;
  flow.word[0] = tfo_be64(uint64_t{address} << 32 | 0xc0000201);
  return flow;
}

tfo_flow flow_from_site(uint64_t site, uint64_t host) {
  tfo_flow flow{};
  flow.family = 6;
  flow.word[0] = tfo_be64(site << 16 | (host & 0xffff));
  flow.word[1] = tfo_be64(host);
  return flow;
}

/// How many of 10,000 networks in a row are in.
int share_of(uint16_t share, int family) {
  int in = 0;
  for (uint32_t i = 0; i < 10'000; i++) {
    const tfo_flow flow =
        family == 4 ? flow_from(0x0a000000U + (i << 8)) : flow_from_site(0x20010db80000 + i, 7);
    in += tfo_client_mode(TFO_CANARY, share, &flow) == TFO_ENFORCE ? 1 : 0;
  }
  return in;
}

TEST(Canary, EnforcesItsShareOfThePrefixes) {
  for (const uint16_t share : {100, 500, 2000, 5000, 9900}) {
    for (const int family : {4, 6}) EXPECT_NEAR(share_of(share, family), share, 200) << family;
  }
  EXPECT_EQ(share_of(0, 4), 0);
  EXPECT_EQ(share_of(TFO_CANARY_ALL, 6), 10'000);
}

TEST(Canary, ChoosesPrefixesAndWhoIsInStaysIn) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 1000; i++) {
    const auto address = static_cast<uint32_t>(random());
    const uint64_t site = random() >> 16;
    const tfo_flow one = flow_from(address), neighbour = flow_from(address ^ 0xff);
    const tfo_flow other = flow_from_site(site, random()), beside = flow_from_site(site, random());
    EXPECT_EQ(tfo_canary_place(&one), tfo_canary_place(&neighbour));
    EXPECT_EQ(tfo_canary_place(&other), tfo_canary_place(&beside));
    EXPECT_LT(tfo_canary_place(&one), uint32_t{TFO_CANARY_ALL});
  }
}

/// A change here changes who is enforced on half of the nodes of a farm that is being upgraded.
TEST(Canary, TheHashNeverChanges) {
  const tfo_flow v4 = flow_from(0xc6336409);  // 198.51.100.9
  const tfo_flow v6 = flow_from_site(0x20010db81234, 1);
  EXPECT_EQ(tfo_client_prefix(&v4), 0xc63364U);
  EXPECT_EQ(tfo_client_prefix(&v6), 0x800020010db81234ULL);
  EXPECT_EQ(tfo_canary_place(&v4), 6305U);
  EXPECT_EQ(tfo_canary_place(&v6), 6639U);
}

TEST(Canary, OtherModesAreWhatTheyAre) {
  const tfo_flow flow = flow_from(0x01020304);
  EXPECT_EQ(tfo_client_mode(TFO_OBSERVE, TFO_CANARY_ALL, &flow), TFO_OBSERVE);
  EXPECT_EQ(tfo_client_mode(TFO_ENFORCE, 0, &flow), TFO_ENFORCE);
}

}  // namespace
}  // namespace tfo::test
