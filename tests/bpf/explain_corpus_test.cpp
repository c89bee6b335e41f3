// SPDX-License-Identifier: BSD-2-Clause
// What explain tells by the core on the host is what the loaded program does.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "loader/replay/explanation.h"
#include "tests/support/corpus.h"
#include "tests/support/replay_judge.h"

namespace tfo::test {
namespace {

TEST(ExplainProgram, ProgramAndHostAgreeOnRandomPackets) {
  const uint64_t seed = corpus_seed();
  fmt::print("TFO_CORPUS_SEED={}\n", seed);
  Corpus corpus(seed);
  std::map<uint8_t, ReplayWorld> worlds;
  std::vector<uint8_t> left;
  for (size_t i = 0; i < corpus_count(10'000); i++) {
    const Sample sample = corpus.next();
    if (sample.l3) continue;
    if (!worlds.contains(sample.decap)) {
      auto made = replay_world(case_world(), sample.decap);
      ASSERT_TRUE(made) << made.error().message;
      worlds.emplace(sample.decap, std::move(*made));
    }
    ReplayWorld& world = worlds.at(sample.decap);
    ASSERT_TRUE(world.set_now(kReplayStamp));
    ReplayHook& hook = world.hook("");
    const EthernetFrame frame{.bytes = sample.frame,
                              .wire_length = static_cast<uint32_t>(sample.frame.size())};
    const auto judged = hook.judge(frame, &left);
    ASSERT_TRUE(judged && *judged) << sample_text(sample);
    const Explanation told = explain({.frame = frame,
                                      .config = hook.config(),
                                      .ring = world.ring((*judged)->slot),
                                      .policy = world.policy((*judged)->slot),
                                      .now_ns = world.now_ns(),
                                      .judgement = **judged,
                                      .left = left});
    ASSERT_FALSE(told.is_defect()) << told.host_reason << '\n' << sample_text(sample);
  }
}

}  // namespace
}  // namespace tfo::test
