// SPDX-License-Identifier: BSD-2-Clause
// The validator's class of each SYN against what a live kernel does with it, SYN by SYN: the
// counters of its MIB, and its SYN-ACK.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>

#include "tests/support/live_effect.h"
#include "tests/support/xdp_world.h"

namespace tfo::test {
namespace {

constexpr uint64_t kLeastOfEach = 100;
constexpr int kRandomSamples = 3000;
constexpr int kFragmentPairs = 150;

class Parity : public testing::TestWithParam<tfo_place> {
 protected:
  void SetUp() override {
    // One CPU: frames are seen in the order in which they were sent.
    sched_getaffinity(0, sizeof(before_), &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(sched_getcpu()), &one);
    sched_setaffinity(0, sizeof(one), &one);
    World world = case_world();
    world.count_other = false;  // resets pass uncounted
    auto xdp = load_world(world);
    ASSERT_TRUE(xdp) << xdp.error().message;
    xdp_.emplace(std::move(*xdp));
    auto farm = LiveFarm::build(*xdp_);
    ASSERT_TRUE(farm) << farm.error().message;
    farm_ = std::move(*farm);
    const char* backup = GetParam() == TFO_PLACE_STAGED ? kStagedKey : kPreviousKey;
    const auto keys = farm_->set_keys(fmt::format("{},{}", kCurrentKey, backup));
    ASSERT_TRUE(keys) << keys.error().message;
    const auto signature = probe_signature(*farm_);
    ASSERT_TRUE(signature) << signature.error().message;
    signature_ = *signature;
  }
  void TearDown() override { sched_setaffinity(0, sizeof(before_), &before_); }

  void check(const LiveSample& sample);

  cpu_set_t before_{};
  std::optional<XdpUnderTest> xdp_;
  std::unique_ptr<LiveFarm> farm_;
  ReasonCounts counts_;
  size_t signature_ = SIZE_MAX;  ///< see breaks_before_signature()
  size_t dropped_ = 0;           ///< SYNs that the kernel drops for that
};

std::vector<std::string> texts(const std::vector<Verdict>& verdicts) {
  std::vector<std::string> all;
  for (const Verdict& verdict : verdicts) {
    if (verdict.reason != TFO_OTHER) all.push_back(to_string(comparable(verdict)));
  }
  std::ranges::sort(all);
  return all;
}

std::string answer_text(const std::optional<SynAck>& answer) {
  if (!answer) return "no SYN-ACK";
  return fmt::format("SYN-ACK acks ISN+{} option={} cookie={}", answer->acked, answer->option,
                     answer->cookie);
}

std::string mib_text(const TfoMib& mib) {
  return fmt::format("CookieReqd+{} Passive+{} PassiveAltKey+{} PassiveFail+{} ListenOverflow+{}",
                     mib.request, mib.accepted, mib.alternate, mib.refused, mib.overflow);
}

void Parity::check(const LiveSample& sample) {
  const auto seen =
      farm_->send(sample.frames, sample.packet.tcp.source, sample.packet.tcp.sequence);
  ASSERT_TRUE(seen) << seen.error().message;
  Effect effect = expected_effect(sample.syn, GetParam());
  if (effect.answered && breaks_before_signature(options_of(sample.packet), signature_)) {
    effect = Effect{};
    dropped_++;
  } else {
    for (const Verdict& verdict : sample.want) counts_.add(verdict.reason);
  }
  const std::string text =
      fmt::format("{}: {}\n{}", sample.name, sample.packet.text(), hex_dump(sample.frames.front()));
  EXPECT_EQ(texts(seen->verdicts), texts(sample.want)) << text;
  EXPECT_EQ(mib_text(seen->mib), mib_text(effect.mib)) << text;
  EXPECT_EQ(answer_text(seen->answer), answer_text(expected_answer(sample, effect))) << text;
}

TEST_P(Parity, EverySynCountsAsTheKernelCountsIt) {
  const uint64_t seed = corpus_seed();
  fmt::print("TFO_CORPUS_SEED={}\n", seed);
  LiveSamples samples(seed, *farm_);
  size_t sent = 0;
  for (const LiveSample& sample : samples.of_tables()) {
    ASSERT_NO_FATAL_FAILURE(check(sample));
    sent++;
  }
  for (int i = 0; i < kRandomSamples; i++, sent++) ASSERT_NO_FATAL_FAILURE(check(samples.any()));
  for (int i = 0; i < kFragmentPairs; i++, sent++) {
    ASSERT_NO_FATAL_FAILURE(check(samples.fragments()));
  }
  fmt::print("{} samples, {} of them dropped for options that break before a signature\n{}", sent,
             dropped_, counts_.text());
  EXPECT_GE(sent, 5000U);
  EXPECT_TRUE(counts_.all_at_least(kLeastOfEach)) << counts_.text();
}

INSTANTIATE_TEST_SUITE_P(BackupKeyIs, Parity, testing::Values(TFO_PLACE_PREVIOUS, TFO_PLACE_STAGED),
                         [](const auto& place) {
                           return place.param == TFO_PLACE_STAGED ? "staged" : "previous";
                         });

}  // namespace
}  // namespace tfo::test
