// SPDX-License-Identifier: BSD-2-Clause
// What the guard refused and the policy lets through is counted as such, by the loaded program.
#include <gtest/gtest.h>

#include "tests/support/guard_world.h"
#include "tests/support/outcome.h"

namespace tfo::test::guard_spared_test {
namespace {

constexpr uint32_t kLimit = 2;

tfo_guard guard_of() {
  tfo_guard guard{};
  guard.limit[TFO_LEVEL_NETWORK] = kLimit;
  guard.duplicate_ticks = 60 * kSecond / kTick;
  guard.flags = TFO_GUARD_ON;
  return guard;
}

tfo_policy policy_of(unsigned flags) {
  tfo_policy policy{};
  policy.unproven_rate = 1'000'000;
  policy.unproven_ns = 1000;
  policy.flags = static_cast<__u8>(flags);
  return policy;
}

/// A SYN under a signature: TCP-AO (RFC 5925 section 2.2), of which nobody here checks anything.
Packet signed_syn(const std::string& client) {
  return GuardWorld::syn(client).option(Bytes{29, 4, 1, 1});
}

struct Counted {
  uint64_t refused = 0;
  uint64_t spared = 0;
};

/// Two too many, one of a denied network, and a copy.
Result<Counted> send_all(GuardWorld& world, Packet (*syn)(const std::string&)) {
  auto listed = world.list("10.0.9.0", 24, TFO_LIST_DENY, UINT64_MAX);
  if (!listed) return tl::unexpected(listed.error());
  for (unsigned i = 1; i <= kLimit + 2; ++i) {
    auto sent = world.pour(syn("10.0.1." + std::to_string(i)).frame());
    if (!sent) return tl::unexpected(sent.error());
  }
  for (const char* client : {"10.0.9.1", "10.0.2.1", "10.0.2.1"}) {
    auto sent = world.pour(syn(client).frame());
    if (!sent) return tl::unexpected(sent.error());
  }
  const auto counters = world.counters();
  if (!counters) return tl::unexpected(counters.error());
  Counted counted{.refused = 0, .spared = counters->spared};
  for (const auto answer : {TFO_GUARD_OVER, TFO_GUARD_DENIED, TFO_GUARD_DUPLICATE}) {
    EXPECT_GT(counters->answer[answer], 0U) << "answer " << answer;
    counted.refused += counters->answer[answer];
  }
  return counted;
}

Packet plain_syn(const std::string& client) { return GuardWorld::syn(client); }

struct Case {
  const char* name;
  unsigned flags;
  Packet (*syn)(const std::string&);
  bool spared;
};

class GuardSpared : public testing::TestWithParam<Case> {};

TEST_P(GuardSpared, CountsWhatThePolicyLetsThrough) {
  for (const tfo_vip_mode mode : {TFO_ENFORCE, TFO_OBSERVE}) {
    auto world = GuardWorld::make(guard_of(), 1024, mode);
    ASSERT_OK(world);
    ASSERT_OK(world->xdp().set_policy(GuardWorld::kSlot, policy_of(GetParam().flags)));
    const auto counted = send_all(*world, GetParam().syn);
    ASSERT_OK(counted);
    EXPECT_EQ(counted->refused, 4U);
    EXPECT_EQ(counted->spared, GetParam().spared ? counted->refused : 0U) << "mode " << mode;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Policies, GuardSpared,
    testing::Values(Case{"Demoted", 0, plain_syn, false},
                    Case{"ServersTakeDataWithoutACookie", TFO_POLICY_NO_DEMOTE, plain_syn, true},
                    Case{"SignedAndDropped", 0, signed_syn, false},
                    Case{"SignedAndOurs", TFO_POLICY_SIGNED, signed_syn, true}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tfo::test::guard_spared_test
