// SPDX-License-Identifier: BSD-2-Clause
// Random packets: the core compiled for the host against the reference.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <utility>

#include "tests/support/corpus.h"
#include "tests/support/host_core.h"

namespace tfo::test {
namespace {

constexpr size_t kPackets = 200'000;
constexpr uint64_t kLeastOfEach = 100;

World world_of(const Sample& sample) {
  World world = case_world();
  world.l3 = sample.l3;
  world.decap = sample.decap;
  return world;
}

TEST(CoreCorpus, HostCoreAndReferenceAgree) {
  const uint64_t seed = corpus_seed();
  const size_t packets = corpus_count(kPackets);
  fmt::print("TFO_CORPUS_SEED={} TFO_CORPUS_COUNT={}\n", seed, packets);
  Corpus corpus(seed);
  std::map<std::pair<bool, uint8_t>, std::pair<World, HostCore>> worlds;
  ReasonCounts counts;
  for (size_t i = 0; i < packets; i++) {
    const Sample sample = corpus.next();
    const World fresh = world_of(sample);
    auto& [world, core] =
        worlds.try_emplace({sample.l3, sample.decap}, fresh, HostCore(fresh)).first->second;
    const Verdict want = reference_verdict(sample.frame, world);
    const Verdict got = comparable(core.classify(sample.frame));
    counts.add(want.reason);
    ASSERT_EQ(to_string(got), to_string(want)) << "packet " << i << ": " << sample_text(sample);
  }
  fmt::print("{}", counts.text());
  EXPECT_TRUE(packets < kPackets || counts.all_at_least(kLeastOfEach)) << counts.text();
}

TEST(CoreCorpus, EqualSeedsEqualStreams) {
  Corpus one(7), two(7);
  for (int i = 0; i < 1000; i++) ASSERT_EQ(one.next().frame, two.next().frame);
}

}  // namespace
}  // namespace tfo::test
