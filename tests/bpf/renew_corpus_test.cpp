// SPDX-License-Identifier: BSD-2-Clause
// Random packets through the loaded program where everything that may be renewed is.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/corpus.h"
#include "tests/support/host_core.h"
#include "tests/support/xdp_world.h"

namespace tfo::test {
namespace {

constexpr size_t kPackets = 10'000;
constexpr uint64_t kLeastRenewed = 100;

/// Every VIP enforces, every ring renews to its second key, or its only one.
World renewing_world() {
  World world = case_world();
  for (WorldVip& vip : world.vips) {
    vip.mode = TFO_ENFORCE;
    vip.renew = true;
  }
  for (const auto& [pool, keys] : world.pools) {
    const auto target = static_cast<uint16_t>(keys.size() > 1 ? 1 : 0);
    world.renewals[pool] = {static_cast<uint16_t>(~(1U << target)), target, UINT64_MAX};
  }
  return world;
}

/// Headers have even lengths: a TCP checksum that follows the cookie leaves the sum of the whole
/// frame as it was.
bool same_sum(const Bytes& before, const Bytes& after) {
  return internet_checksum({before}) % 0xffff == internet_checksum({after}) % 0xffff;
}

size_t changed_bytes(const Bytes& before, const Bytes& after) {
  size_t changed = 0;
  for (size_t i = 0; i < before.size(); i++) changed += before[i] == after[i] ? 0 : 1;
  return changed;
}

void expect_renewed(const Sample& sample, const World& world, const Treatment& got) {
  EXPECT_TRUE(same_sum(sample.frame, got.left));
  EXPECT_LE(changed_bytes(sample.frame, got.left), size_t{8 + 2});
  const Verdict then = reference_verdict(got.left, world);
  EXPECT_EQ(then.option, got.verdict.option);
  EXPECT_EQ(then.data, got.verdict.data);
  EXPECT_EQ(then.slot, got.verdict.slot);
  const uint16_t pool = std::ranges::find(world.vips, then.slot, &WorldVip::slot)->pool;
  const WorldKey& target = world.pools.at(pool)[world.renewals.at(pool).target];
  const bool current = target.place == TFO_PLACE_CURRENT;
  EXPECT_EQ(then.reason, current                              ? TFO_COOKIE_CURRENT
                         : target.place == TFO_PLACE_PREVIOUS ? TFO_COOKIE_PREVIOUS
                                                              : TFO_COOKIE_STAGED);
}

TEST(ProgramRenewsCorpus, AsTheCoreOnTheHostAndTheReferenceAcceptsIt) {
  const uint64_t seed = corpus_seed();
  const size_t packets = corpus_count(kPackets);
  fmt::print("TFO_CORPUS_SEED={} TFO_CORPUS_COUNT={}\n", seed, packets);
  Corpus corpus(seed);
  const World renewing = renewing_world();
  XdpWorlds worlds(renewing);
  uint64_t renewed = 0;
  for (size_t i = 0; i < packets; i++) {
    const Sample sample = corpus.next();
    World world = renewing;
    world.l3 = sample.l3;
    world.decap = sample.decap;
    const auto xdp = worlds.with(sample.l3, sample.decap);
    ASSERT_TRUE(xdp) << xdp.error().message;
    const auto got = (*xdp)->treat(sample.frame);
    ASSERT_TRUE(got) << got.error().message << "\npacket " << i << ": " << sample_text(sample);
    const Treatment want = HostCore(world).act(sample.frame);
    ASSERT_EQ(got->action, want.action) << sample_text(sample);
    ASSERT_EQ(got->would, want.would) << sample_text(sample);
    ASSERT_EQ(to_hex(got->left), to_hex(want.left)) << sample_text(sample);
    if (got->action == TFO_RENEW) {
      renewed++;
      expect_renewed(sample, world, *got);
    } else {
      ASSERT_EQ(to_hex(got->left), to_hex(sample.frame)) << sample_text(sample);
    }
    ASSERT_FALSE(HasFailure()) << sample_text(sample);
  }
  fmt::print("{} of them renewed\n", renewed);
  EXPECT_TRUE(packets < kPackets || renewed >= kLeastRenewed) << renewed;
}

}  // namespace
}  // namespace tfo::test
