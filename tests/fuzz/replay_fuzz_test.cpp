// SPDX-License-Identifier: BSD-2-Clause
// Damaged captures through the whole replay, the real program included, under the sanitizers.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/capture_mutant.h"
#include "tests/support/capture_read.h"
#include "tests/support/cases.h"
#include "tests/support/options.h"
#include "tests/support/outcome.h"
#include "tests/support/replay_judge.h"
#include "tools/replay_report.h"
#include "tools/replay_sinks.h"

namespace tfo::test {
namespace {

constexpr size_t kMutants = 4'000;
constexpr size_t kMutantsFull = 200'000;

/// Every verdict on a frame that is there whole is the reference's.
class AgainstReference : public ReplaySink {
 public:
  AgainstReference(const CaptureReader& reader, const ReplayWorld& replayed)
      : reader_(&reader), replayed_(&replayed) {}
  Result<> take(const ReplayedFrame& frame) override {
    const CapturedFrame& captured = frame.captured;
    const uint32_t link = reader_->interfaces()[captured.interface].link_type;
    if (frame.skipped || captured.bytes.size() < captured.wire_length) return {};
    if (link != kLinkEthernet && link != kLinkRaw) return {};
    World world = case_world();
    world.l3 = link == kLinkRaw;
    world.now_ns = replayed_->now_ns();
    const Judgement& judged = frame.judgement;
    const std::string& vip = replayed_->vip_name(judged.slot);
    const auto slot = static_cast<uint32_t>(vip.empty() ? 0 : std::stoi(vip));
    const Verdict got{judged.reason, judged.option, judged.data, slot};
    const Verdict want = reference_verdict(captured.bytes, world);
    // Headers beyond the linear part of a jumbo frame, which the reference does not know.
    if (got.reason == TFO_INTERNAL_ERROR && captured.bytes.size() > 3000) return {};
    EXPECT_EQ(to_string(comparable(got)), to_string(comparable(want)))
        << "frame " << captured.number << '\n'
        << hex_dump(captured.bytes);
    judged_++;
    return {};
  }
  size_t judged() const { return judged_; }

 private:
  const CaptureReader* reader_;
  const ReplayWorld* replayed_;
  size_t judged_ = 0;
};

class ReplayFuzz : public testing::Test {
 protected:
  void SetUp() override {
    auto world = replay_world(case_world());
    ASSERT_OK(world);
    world_.emplace(std::move(*world));
  }
  void replay(const CaptureMutant& mutant, bool json);
  void report(const ReplayOutcome& outcome);

  std::optional<ReplayWorld> world_;
  CaptureDirectory directory_;
  uint64_t frames_ = 0;  ///< replayed; the program counted as many
  size_t reports_ = 0, refused_ = 0, with_error_ = 0, checked_ = 0;
};

/// Of one capture in eight: it costs more than the replay.
void ReplayFuzz::report(const ReplayOutcome& outcome) {
  frames_ += outcome.totals.frames;
  if (++reports_ % 8 != 0) return;
  std::ostringstream text;
  print_replay(text, outcome);
  EXPECT_NE(text.str(), "");
  uint64_t counted = 0;
  const auto document = replay_json(outcome);
  for (const auto& [reason, count] : document.at("reasons").items()) {
    counted += count.get<uint64_t>();
  }
  EXPECT_EQ(counted, frames_) << "since the first capture";
}

void ReplayFuzz::replay(const CaptureMutant& mutant, bool json) {
  auto reader = CaptureReader::adopt(memory_file(mutant.file), "mutant");
  if (!reader) {
    EXPECT_NE(reader.error().message, "");
    refused_++;
    return;
  }
  std::istringstream in;
  std::ostringstream out, err;
  Context context{in, out, err};
  context.json = json;
  Replay replay(*reader, *world_, {.rewritten = true});
  RefusedClients refused(64);
  FrameLines lines(context, *world_);
  AgainstReference reference(*reader, *world_);
  auto copy = AnnotatedCapture::create(directory_.file("out.pcapng"), "mutant", *reader, *world_);
  ASSERT_OK(copy);
  for (ReplaySink* sink :
       std::initializer_list<ReplaySink*>{&refused, &lines, &reference, &*copy}) {
    replay.add(*sink);
  }
  auto done = replay.run([](const ReplayTotals&) { return true; });
  auto counters = world_->counters();
  ASSERT_OK(counters);
  const ReplayOutcome outcome{.file = "mutant",
                              .reader = *reader,
                              .world = *world_,
                              .totals = replay.totals(),
                              .refused = refused,
                              .most_refused = 10,
                              .counters = std::move(*counters),
                              .error = done ? std::nullopt : std::optional(done.error())};
  report(outcome);
  const std::string written = out.str();
  if (json) {
    EXPECT_EQ(nlohmann::json::parse('[' + written + ']').size(), replay.totals().captured());
  } else {
    EXPECT_EQ(static_cast<uint64_t>(std::ranges::count(written, '\n')), replay.totals().captured());
  }
  with_error_ += done ? 0 : 1;
  checked_ += reference.judged();
}

TEST_F(ReplayFuzz, DamagedCapturesEndInAClearErrorOrARightAnswer) {
  const uint64_t seed = test_seed();
  CaptureMutants mutants(seed);
  const size_t count = full() ? kMutantsFull : kMutants;
  for (size_t i = 0; i < count; i++) {
    const CaptureMutant mutant = mutants.next();
    ASSERT_NO_FATAL_FAILURE(replay(mutant, i % 2 == 0)) << i << ": " << mutant.what;
    ASSERT_FALSE(HasFailure()) << i << ": " << mutant.what;
  }
  fmt::print(
      "seed {}: {} files, {} refused at once, {} with an error on the way, {} frames, {} of "
      "them held against the reference\n",
      seed, count, refused_, with_error_, frames_, checked_);
  EXPECT_GT(refused_, 0U);
  EXPECT_GT(with_error_, 0U);
  EXPECT_GT(checked_, count / 4);
}

}  // namespace
}  // namespace tfo::test
